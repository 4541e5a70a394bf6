//! States of several versions of aktualizr, taken over.

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_tuf::{Dialect, Envelope, Repository, RoleName};

use super::*;
use crate::config::Settings;

const NOW: &str = "2026-01-02T03:04:05Z";
/// Seed and public half of RFC 8032's first test key, as aktualizr writes them.
const ECU_KEY: &str = "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60\
                       D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A";
const COMMIT: &str = "AB00000000000000000000000000000000000000000000000000000000000000";

/// Tables as in version 25 (aktualizr: `config/sql/schema.sql`), as far as they are read.
const TABLES_25: &str = "
CREATE TABLE version(version INTEGER);
INSERT INTO version VALUES(25);
CREATE TABLE device_info(unique_mark INTEGER PRIMARY KEY, device_id TEXT, is_registered INTEGER);
CREATE TABLE ecus(id INTEGER PRIMARY KEY, serial TEXT, hardware_id TEXT, is_primary INTEGER);
CREATE TABLE installed_versions(id INTEGER PRIMARY KEY, ecu_serial TEXT, sha256 TEXT, name TEXT,
    hashes TEXT, length INTEGER, correlation_id TEXT, is_current INTEGER, is_pending INTEGER,
    was_installed INTEGER, custom_meta TEXT);
CREATE TABLE primary_keys(unique_mark INTEGER PRIMARY KEY, private TEXT, public TEXT);
CREATE TABLE meta(meta BLOB, repo INTEGER, meta_type INTEGER, version INTEGER);
CREATE TABLE delegations(meta BLOB, role_name TEXT);
CREATE TABLE ecu_report_counter(ecu_serial TEXT PRIMARY KEY, counter INTEGER);
CREATE TABLE report_events(id INTEGER PRIMARY KEY, json_string TEXT);
CREATE TABLE device_installation_result(unique_mark INTEGER PRIMARY KEY, success INTEGER,
    result_code TEXT, description TEXT, raw_report TEXT, correlation_id TEXT);
CREATE TABLE ecu_installation_results(ecu_serial TEXT PRIMARY KEY, success INTEGER,
    result_code TEXT, description TEXT);
CREATE TABLE tls_creds(ca_cert BLOB, client_cert BLOB, client_pkey BLOB);
INSERT INTO ecus VALUES(1, 'ECU001', 'hw-001', 1), (2, 'SEC', 'sec-hw', 0);
INSERT INTO device_info VALUES(0, 'device-a', 1);
INSERT INTO ecu_report_counter VALUES('ECU001', 41), ('SEC', 7);
INSERT INTO report_events(json_string) VALUES('{\"id\":\"1\"}'), ('no json');
INSERT INTO delegations VALUES('{\"signed\":1}', 'team');
";

struct Device {
    folder: TempDir,
    settings: Settings,
}

impl Device {
    fn new(statements: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.storage.path = folder.path().to_owned();
        let device = Self { folder, settings };
        device.database().execute_batch(statements).unwrap();
        device
    }

    fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("sql.db")).unwrap()
    }

    fn with_keys(self) -> Self {
        let validity = Validity::days(NOW.parse().unwrap(), 10);
        let authority = CertificateAuthority::create("ca", validity).unwrap();
        let identity = authority.issue_device("device-a", validity).unwrap();
        let db = self.database();
        db.execute(
            "INSERT INTO tls_creds(ca_cert, client_cert, client_pkey) VALUES(?1, ?2, ?3)",
            (authority.certificate_pem(), &identity.certificate_pem, &identity.private_key_pem),
        )
        .unwrap();
        db.execute("INSERT INTO primary_keys(private, public) VALUES(?1, '')", [ECU_KEY]).unwrap();
        self
    }

    fn with_root(self, repo: i64, version: i64, bytes: &[u8]) -> Self {
        let insert = "INSERT INTO meta(meta, repo, meta_type, version) VALUES(?1, ?2, 0, ?3)";
        self.database().execute(insert, (bytes, repo, version)).unwrap();
        self
    }

    fn take_over(&self) -> Result<(Store, TakeoverOutcome)> {
        let store = Store::open(&self.settings.storage)?;
        let outcome = take_over(&self.settings, &store, NOW.parse().unwrap())?;
        Ok((store, outcome))
    }
}

fn key() -> SigningKey {
    SigningKey::generate(KeyAlgorithm::Ed25519).unwrap()
}

/// A root of this version that names the first key, and that all of them sign.
fn root(version: u64, keys: &[&SigningKey]) -> Vec<u8> {
    let public = keys[0].public();
    let id = public.key_id(Dialect::Uptane).to_string();
    let role = json!({ "keyids": [id], "threshold": 1 });
    let signed = json!({
        "_type": "Root", "version": version, "expires": "2036-01-01T00:00:00Z",
        "consistent_snapshot": false, "keys": { &id: public.to_json(Dialect::Uptane) },
        "roles": { "root": role, "targets": role },
    });
    let keys: Vec<&dyn updraft_tuf::Sign> = keys.iter().map(|key| *key as _).collect();
    let envelope = Envelope::sign(Dialect::Uptane, signed, &keys).unwrap();
    envelope.to_bytes(Dialect::Uptane).unwrap()
}

#[test]
fn everything_of_a_provisioned_device_comes_over_once() {
    let (old, new) = (key(), key());
    let roots = [root(1, &[&old]), root(2, &[&new, &old])];
    let device = Device::new(TABLES_25)
        .with_keys()
        .with_root(1, 2, &roots[1])
        .with_root(1, -1, &roots[0])
        .with_root(0, 1, &roots[0]);
    let db = device.database();
    let row = "INSERT INTO installed_versions(ecu_serial, sha256, name, length, correlation_id,
               is_current, is_pending, was_installed, custom_meta) VALUES";
    db.execute_batch(&format!(
        "{row}('ECU001', '{COMMIT}', 'second', 9, 'urn:2', 1, 0, 1, '{{\"releaseCounter\":4}}'),
              ('ECU001', '{}', 'first', 8, 'urn:1', 0, 0, 1, ''),
              ('SEC', '{COMMIT}', 'other', 7, '', 1, 0, 1, ''),
              ('ECU001', 'short', 'nonsense', 7, '', 0, 0, 1, '');
         INSERT INTO device_installation_result VALUES(0, 0, 'hw-001:INSTALL_FAILED', 'd', '', 'urn:3');
         INSERT INTO ecu_installation_results VALUES('ECU001', 0, 'INSTALL_FAILED', 'no room');",
        "c".repeat(64)
    ))
    .unwrap();
    let before =
        updraft_fs::Dir::open(device.folder.path()).unwrap().read("sql.db", 1 << 30).unwrap();

    let (store, outcome) = device.take_over().unwrap();
    assert_eq!(outcome, TakeoverOutcome::TakenOver);
    let identity = store.identity().unwrap().unwrap();
    assert_eq!(identity.device_id, "device-a");
    let ecu = store.ecu().unwrap().unwrap();
    assert_eq!((ecu.serial.as_str(), ecu.hardware_id.as_str()), ("ECU001", "hw-001"));
    assert!(ecu.registered, "it would be registered anew");
    let key = SigningKey::from_pkcs8_pem(&ecu.private_key_pem).unwrap();
    let expected = ECU_KEY.get(64..).unwrap().to_lowercase();
    assert_eq!(key.public().to_json(Dialect::Uptane)["keyval"]["public"], expected);
    let trusted = store.trusted_metadata().unwrap();
    assert_eq!(trusted.director.get(&RoleName::Root), Some(&roots[1][..]));
    assert_eq!(store.old_root(Repository::Director, 1).unwrap(), Some(roots[0].clone()));
    assert_eq!(store.delegations().unwrap()[0].0, "team");
    let installed = store.installed().unwrap().unwrap();
    assert_eq!((installed.filepath.as_str(), installed.release_counter), ("second", Some(4)));
    assert_eq!(installed.sha256, COMMIT.to_lowercase());
    assert_eq!(store.name_of(&"c".repeat(64)).unwrap().as_deref(), Some("first"));
    assert_eq!(store.next_report_counter().unwrap(), 42, "no value is used twice");
    assert_eq!(store.count_events().unwrap(), 1);
    let report = store.report().unwrap().unwrap();
    assert!(report.contains("no room") && report.contains("urn:3"), "{report}");
    drop(store);
    assert_eq!(device.take_over().unwrap().1, TakeoverOutcome::HasState);
    let after =
        updraft_fs::Dir::open(device.folder.path()).unwrap().read("sql.db", 1 << 30).unwrap();
    assert!(before == after, "aktualizr's database was changed");
}

/// Version 9 knew one ECU, called its table otherwise, and kept commits as `hash`.
#[test]
fn old_versions_come_over_too() {
    let device = Device::new(
        "CREATE TABLE version(version INTEGER); INSERT INTO version VALUES(9);
         CREATE TABLE device_info(device_id TEXT, is_registered INTEGER);
         INSERT INTO device_info VALUES('device-a', 1);
         CREATE TABLE ecu_serials(serial TEXT UNIQUE, hardware_id TEXT, is_primary INTEGER);
         INSERT INTO ecu_serials VALUES('ECU001', 'hw-001', 1);
         CREATE TABLE installed_versions(hash TEXT, name TEXT, is_current INTEGER, length INTEGER);
         CREATE TABLE primary_keys(private TEXT, public TEXT);
         CREATE TABLE tls_creds(ca_cert BLOB, client_cert BLOB, client_pkey BLOB);
         CREATE TABLE meta(meta BLOB, repo INTEGER, meta_type INTEGER, version INTEGER);",
    )
    .with_keys();
    let insert = "INSERT INTO installed_versions VALUES(?1, 'first', 1, 3)";
    device.database().execute(insert, [COMMIT]).unwrap();
    let (store, outcome) = device.take_over().unwrap();
    assert_eq!(outcome, TakeoverOutcome::TakenOver);
    assert_eq!(store.installed().unwrap().unwrap().filepath, "first");
    assert_eq!(store.ecu().unwrap().unwrap().serial, "ECU001");
}

#[test]
fn roots_that_do_not_follow_each_other_are_refused_and_nothing_is_changed() {
    let (old, new) = (key(), key());
    let chains =
        [vec![root(1, &[&old]), root(2, &[&new])], vec![b"{\"signed\":{\"version\":1}}".to_vec()]];
    for chain in chains {
        let mut device = Device::new(TABLES_25).with_keys();
        for (bytes, version) in chain.iter().zip(1..) {
            device = device.with_root(0, version, bytes);
        }
        let refused = device.take_over().map(|(_, outcome)| outcome);
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        let store = Store::open(&device.settings.storage).unwrap();
        assert!(store.identity().unwrap().is_none());
    }
}

#[test]
fn what_is_no_provisioned_aktualizr_is_left_alone() {
    for statements in
        ["CREATE TABLE version(version INTEGER);", "CREATE TABLE other(a);", TABLES_25]
    {
        let device = Device::new(statements);
        assert_eq!(device.take_over().unwrap().1, TakeoverOutcome::Nothing, "{statements}");
    }
    let newer = Device::new("CREATE TABLE version(version); INSERT INTO version VALUES(99);");
    assert!(matches!(newer.take_over(), Err(Error::StateTooNew { found: 99, .. })));
    let mut without = Device::new(TABLES_25).with_keys();
    without.settings.storage.aktualizr_sqldb_path = "absent.db".into();
    assert_eq!(without.take_over().unwrap().1, TakeoverOutcome::Nothing);
}

/// A waiting installation of the primary, and of its secondary `SEC`.
const WAITING: &str = "
CREATE TABLE secondary_ecus(serial TEXT PRIMARY KEY, sec_type TEXT, public_key_type TEXT,
    public_key TEXT, extra TEXT, manifest TEXT);
CREATE TABLE misconfigured_ecus(serial TEXT, hardware_id TEXT, state INTEGER);
INSERT INTO misconfigured_ecus VALUES('OLD', 'old-hw', 0), ('NEVER', 'never-hw', 1);
INSERT INTO ecus VALUES(3, 'VIRTUAL', 'virtual-hw', 0), (4, 'NOWHERE', 'hw', 0);
INSERT INTO installed_versions(ecu_serial, sha256, name, length, correlation_id, is_current,
    is_pending, was_installed) VALUES
    ('ECU001', 'AA00000000000000000000000000000000000000000000000000000000000000', 'old', 3, 'urn:1', 1, 0, 1),
    ('ECU001', 'BB00000000000000000000000000000000000000000000000000000000000000', 'new', 4, 'urn:2', 0, 1, 0),
    ('SEC', 'CC00000000000000000000000000000000000000000000000000000000000000', 'sec', 5, 'urn:0', 1, 0, 1),
    ('SEC', 'DD00000000000000000000000000000000000000000000000000000000000000', 'sec2', 6, 'urn:2', 0, 1, 0);
INSERT INTO device_installation_result VALUES(0, 0, 'NEED_COMPLETION', '', '', 'urn:2');
INSERT INTO ecu_installation_results VALUES('ECU001', 1, 'NEED_COMPLETION', '');
";

/// A device that waits, with its secondaries in the configuration.
fn waiting() -> Device {
    let mut device = Device::new(&format!("{TABLES_25}{WAITING}")).with_keys();
    let at = |name: &str| device.folder.path().join(name);
    let put = "INSERT INTO secondary_ecus VALUES(?1, ?2, 'ED25519', ?3, ?4, '{}')";
    for (serial, kind, extra) in [
        ("SEC", "IP", r#"{"ip":"10.0.0.2","port":9030}"#),
        ("VIRTUAL", "virtual", ""),
        ("NOWHERE", "IP", r#"{"ip":"10.0.0.9","port":9030}"#),
    ] {
        let public = key().public().public_text();
        device.database().execute(put, (serial, kind, public, extra)).unwrap();
    }
    let file = json!({
        "IP": { "secondaries": [{ "addr": "10.0.0.2:9030" }] },
        "virtual": [{ "ecu_serial": "VIRTUAL", "ecu_hardware_id": "virtual-hw",
            "full_client_dir": "/var/v", "firmware_path": "/f", "target_name_path": "/n" }],
    });
    let path = at("secondaries.json");
    updraft_fs::atomic_write_path(&path, file.to_string().as_bytes(), 0o644).unwrap();
    let (sentinel, cmdline) = (at("run"), at("cmdline"));
    device.settings.uptane.secondary_config_file = path;
    device.settings.pacman.kind = "none".to_owned();
    device.settings.bootloader.reboot_sentinel_dir = sentinel;
    device.settings.boot.kernel_cmdline = cmdline;
    device
}

#[test]
fn secondaries_come_over_to_where_the_configuration_has_them() {
    let device = waiting();
    let store = device.take_over().unwrap().0;
    let known = store.secondaries().unwrap();
    let places: Vec<_> = known.iter().map(|it| (it.serial.as_str(), it.slot.as_str())).collect();
    assert_eq!(places, [("SEC", "ip 10.0.0.2:9030"), ("VIRTUAL", "local /var/v")]);
    let running = known[0].running.clone().unwrap();
    assert_eq!((running.0.as_str(), running.2), ("sec", 5));
    assert!(known[0].registered && known[0].key.contains("ED25519"), "{:?}", known[0]);
    // One is configured no longer: the server is to hear of it.
    assert_eq!(store.sent_hash("ecus").unwrap().as_deref(), Some(""));
    let gone = |serial: &str, hardware: &str, old| (serial.to_owned(), hardware.to_owned(), old);
    let expected = [gone("NEVER", "never-hw", false), gone("OLD", "old-hw", true)];
    assert_eq!(store.misconfigured_ecus().unwrap(), expected);

    // All that the server knows are there: it is told nothing.
    let device = waiting();
    device.database().execute("DELETE FROM ecus WHERE serial = 'NOWHERE'", []).unwrap();
    let store = device.take_over().unwrap().0;
    let sent = store.sent_hash("ecus").unwrap().unwrap();
    assert_eq!(sent.len(), 64, "{sent}");
}

#[test]
fn an_old_database_without_addresses_has_one_secondary_behind_the_network() {
    let mut device = Device::new(TABLES_25).with_keys();
    let path = device.folder.path().join("secondaries.json");
    let file = br#"{"IP": {"secondaries": [{"addr": "10.0.0.2:9030"}]}}"#;
    updraft_fs::atomic_write_path(&path, file, 0o644).unwrap();
    device.settings.uptane.secondary_config_file = path;
    // Nothing is known of its key: it is met anew.
    assert!(device.take_over().unwrap().0.secondaries().unwrap().is_empty());
    let public = key().public().public_text();
    device.database().execute_batch(&format!(
        "CREATE TABLE secondary_ecus(serial TEXT, public_key_type TEXT, public_key TEXT, extra TEXT);
         INSERT INTO secondary_ecus VALUES('SEC', 'ED25519', '{public}', '');"
    ))
    .unwrap();
    std::fs::remove_file(device.folder.path().join("updraft.db")).unwrap();
    let taken = device.take_over().unwrap().0.secondaries().unwrap();
    assert_eq!(taken[0].slot, "ip 10.0.0.2:9030");
}

#[test]
fn what_waits_for_its_reboot_waits_on() {
    use crate::boot::Boot;
    use updraft_update::Journal as _;

    let device = waiting();
    crate::reboot::set_sentinel(&device.settings).unwrap();
    let store = device.take_over().unwrap().0;
    let update = store.update().unwrap().unwrap();
    assert_eq!((update.filepath.as_str(), update.correlation_id.as_str()), ("new", "urn:2"));
    let shares = store.shares().unwrap();
    assert!(shares.of_primary);
    assert_eq!(shares.parts[0].filepath, "sec2");
    assert_eq!(store.report().unwrap(), None, "a reboot that is to come is no failure");
    let record = crate::store::StoredJournal(&store).load().unwrap().unwrap();
    assert!(record.awaits_reboot());
    let boot = Boot::observe(&device.settings, &store, None).unwrap();
    assert!(boot.awaits_reboot, "the reboot is taken for done");
    assert_eq!(record.reboot_token.as_deref(), Some(boot.session.as_str()));
    // Taking the sentinel away stands for the reboot.
    crate::reboot::clear_sentinel(&device.settings).unwrap();
    assert!(!Boot::observe(&device.settings, &store, None).unwrap().awaits_reboot);
    let next = store.file_image("ECU001", crate::store::FilePlace::Next).unwrap().unwrap();
    assert_eq!(next.filepath, "new");

    // The device was rebooted before it was moved over.
    let device = waiting();
    let store = device.take_over().unwrap().0;
    let record = crate::store::StoredJournal(&store).load().unwrap().unwrap();
    let boot = Boot::observe(&device.settings, &store, None).unwrap();
    assert!(record.awaits_reboot() && !boot.awaits_reboot);
    assert_ne!(record.reboot_token.as_deref(), Some(boot.session.as_str()));
    let kinds: Vec<_> = record.plan.actions.iter().map(ToString::to_string).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn a_secondary_keeps_its_key_its_roots_and_its_image() {
    let (old, new) = (key(), key());
    let roots = [root(1, &[&old]), root(2, &[&new, &old])];
    let device = Device::new(&format!("{TABLES_25}{WAITING}"))
        .with_root(0, 1, &roots[0])
        .with_root(0, 2, &roots[1]);
    assert!(adopt_secondary(&device.settings).unwrap().is_none(), "it has no key");
    let device = device.with_keys();
    let adopted = adopt_secondary(&device.settings).unwrap().unwrap();
    assert_eq!(adopted.roots, [(Repository::Image, roots[1].clone())]);
    assert_eq!(adopted.installed.as_ref().unwrap().filepath, "old");
    let home = tempfile::tempdir().unwrap();
    let open = |adopted| {
        let options = updraft_secondary::EcuOptions {
            folder: home.path().join("secondary"),
            serial: String::new(),
            hardware_id: "brake".to_owned(),
            verification: updraft_secondary::Verification::Full,
            director: updraft_tuf::DirectorFiles::RootAndTargets,
            first_root: updraft_tuf::FirstRoot::TrustOnFirstUse,
            key_algorithm: KeyAlgorithm::Ed25519,
            key_pem: None,
            import: None,
            adopted,
        };
        let firmware = home.path().join("firmware");
        updraft_secondary::Ecu::open(options, |_| {
            Box::new(updraft_secondary::payload::FilePayload::new(firmware, None))
        })
        .unwrap()
    };
    let ecu = open(Some(adopted));
    let expected = ECU_KEY.get(64..).unwrap().to_lowercase();
    assert_eq!(ecu.public_key().public_text(), expected);
    assert_eq!(ecu.root_version(Repository::Image), 2);
    assert_eq!(ecu.installed().unwrap().filepath, "old");
    drop(ecu);
    assert_eq!(open(None).public_key().public_text(), expected, "it is taken over once");
}
