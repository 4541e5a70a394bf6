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
