//! Every version of aktualizr's database, as a device that began with the first one has it.
//!
//! The steps say what each migration (aktualizr: `config/sql/migration`) changes of the tables that
//! are read, and of their rows.

use rusqlite::Connection;
use serde_json::json;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_tuf::{Dialect, Envelope, Repository, RoleName};

use super::*;
use crate::config::Settings;

const NOW: &str = "2026-01-02T03:04:05Z";
const COMMIT: &str = "ab00000000000000000000000000000000000000000000000000000000000000";

/// What version N + 1 makes of version N, for all N; and what a device writes then, if anything.
const STEPS: [(&str, &str); 27] = [
    (
        "CREATE TABLE version(version INTEGER);
         CREATE TABLE device_info(device_id TEXT NOT NULL, is_registered INTEGER NOT NULL);
         CREATE TABLE ecu_serials(serial TEXT UNIQUE, hardware_id TEXT NOT NULL, is_primary INTEGER NOT NULL);
         CREATE TABLE misconfigured_ecus(serial TEXT UNIQUE, hardware_id TEXT NOT NULL, state INTEGER NOT NULL);
         CREATE TABLE primary_keys(private TEXT, public TEXT);
         CREATE TABLE installed_versions(hash TEXT UNIQUE, name TEXT NOT NULL);
         CREATE TABLE tls_creds(ca_cert BLOB, ca_cert_format TEXT, client_cert BLOB,
             client_cert_format TEXT, client_pkey BLOB, client_pkey_format TEXT);
         CREATE TABLE root_meta(root BLOB, root_format TEXT, director INTEGER, version INTEGER);
         CREATE TABLE meta(director_root BLOB NOT NULL, director_targets BLOB NOT NULL,
             image_root BLOB NOT NULL, image_targets BLOB NOT NULL, image_timestamp BLOB NOT NULL,
             image_snapshot BLOB NOT NULL);
         CREATE TABLE primary_image(filepath TEXT NOT NULL);",
        "INSERT INTO device_info VALUES('device-a', 1);
         INSERT INTO ecu_serials VALUES('SEC', 'sec-hw', 0), ('ECU001', 'hw-001', 1);",
    ),
    (
        "ALTER TABLE primary_image ADD COLUMN installed_versions TEXT NOT NULL DEFAULT '';
         CREATE TABLE new(device_id TEXT, is_registered INTEGER NOT NULL DEFAULT 0);
         INSERT INTO new SELECT device_id, is_registered FROM device_info LIMIT 1;
         DROP TABLE device_info; ALTER TABLE new RENAME TO device_info;",
        "",
    ),
    (
        "DROP TABLE primary_image;
         CREATE TABLE target_images(filename TEXT UNIQUE, image_data BLOB NOT NULL);",
        "",
    ),
    (
        "ALTER TABLE installed_versions ADD COLUMN is_current INTEGER NOT NULL DEFAULT 0;",
        "UPDATE installed_versions SET is_current = 1;",
    ),
    ("ALTER TABLE installed_versions ADD COLUMN length INTEGER NOT NULL DEFAULT 0;", ""),
    (
        "CREATE TABLE rawmeta(director_root BLOB); DROP TABLE root_meta;
         CREATE TABLE root_meta(root BLOB, director INTEGER, version INTEGER);
         CREATE TABLE root_rawmeta(root BLOB, director INTEGER, version INTEGER);",
        "",
    ),
    (
        "DROP TABLE root_meta; DROP TABLE rawmeta; DROP TABLE root_rawmeta;
         CREATE TABLE new(meta BLOB NOT NULL, repo INTEGER NOT NULL, meta_type INTEGER NOT NULL,
             version INTEGER NOT NULL, UNIQUE(repo, meta_type, version));
         INSERT INTO new SELECT image_root, 0, 0, -1 FROM meta;
         INSERT INTO new SELECT image_snapshot, 0, 1, -1 FROM meta;
         INSERT INTO new SELECT image_targets, 0, 2, -1 FROM meta;
         INSERT INTO new SELECT image_timestamp, 0, 3, -1 FROM meta;
         INSERT INTO new SELECT director_root, 1, 0, -1 FROM meta;
         INSERT INTO new SELECT director_targets, 1, 2, -1 FROM meta;
         DROP TABLE meta; ALTER TABLE new RENAME TO meta;",
        "",
    ),
    ("CREATE TABLE installation_result(unique_mark INTEGER PRIMARY KEY, id TEXT);", ""),
    (
        "CREATE TABLE new(unique_mark INTEGER PRIMARY KEY, private TEXT, public TEXT);
         INSERT INTO new SELECT 0, private, public FROM primary_keys LIMIT 1;
         DROP TABLE primary_keys; ALTER TABLE new RENAME TO primary_keys;
         CREATE TABLE new(unique_mark INTEGER PRIMARY KEY, device_id TEXT, is_registered INTEGER);
         INSERT INTO new SELECT 0, device_id, is_registered FROM device_info LIMIT 1;
         DROP TABLE device_info; ALTER TABLE new RENAME TO device_info;",
        "",
    ),
    (
        "CREATE TABLE new(hash TEXT, name TEXT NOT NULL, is_current INTEGER NOT NULL DEFAULT 0,
             length INTEGER NOT NULL DEFAULT 0, UNIQUE(hash, name));
         INSERT INTO new SELECT * FROM installed_versions;
         DROP TABLE installed_versions; ALTER TABLE new RENAME TO installed_versions;",
        "",
    ),
    ("ALTER TABLE target_images ADD real_size INTEGER NOT NULL DEFAULT 0;", ""),
    ("ALTER TABLE target_images ADD sha256 TEXT NOT NULL DEFAULT '';", ""),
    ("CREATE TABLE need_reboot(unique_mark INTEGER PRIMARY KEY, flag INTEGER NOT NULL);", ""),
    (
        "CREATE TABLE new(ecu_serial TEXT NOT NULL, sha256 TEXT NOT NULL, name TEXT NOT NULL,
             hashes TEXT NOT NULL, length INTEGER NOT NULL DEFAULT 0, correlation_id TEXT NOT NULL
             DEFAULT '', is_current INTEGER NOT NULL DEFAULT 0, is_pending INTEGER NOT NULL
             DEFAULT 0, UNIQUE(ecu_serial, sha256, name));
         INSERT INTO new SELECT serial, hash, name, '', length, '', is_current, 0
             FROM ecu_serials INNER JOIN installed_versions ON is_primary = 1;
         DROP TABLE installed_versions; ALTER TABLE new RENAME TO installed_versions;",
        "INSERT INTO installed_versions(ecu_serial, sha256, name, hashes, is_current)
             VALUES('SEC', 'cd', 'other', '', 1);",
    ),
    (
        "CREATE TABLE target_images_data(filename TEXT PRIMARY KEY, image_data BLOB NOT NULL);
         DROP TABLE target_images;
         CREATE TABLE target_images(filename TEXT PRIMARY KEY, real_size INTEGER NOT NULL);",
        "",
    ),
    ("CREATE TABLE rollback_migrations(version_from INT PRIMARY KEY, migration TEXT);", ""),
    (
        "DROP TABLE installation_result;
         CREATE TABLE device_installation_result(unique_mark INTEGER PRIMARY KEY,
             success INTEGER NOT NULL DEFAULT 0, result_code TEXT NOT NULL DEFAULT '',
             description TEXT NOT NULL DEFAULT '', raw_report TEXT NOT NULL DEFAULT '');
         CREATE TABLE ecu_installation_results(ecu_serial TEXT NOT NULL PRIMARY KEY,
             success INTEGER NOT NULL DEFAULT 0, result_code TEXT NOT NULL DEFAULT '',
             description TEXT NOT NULL DEFAULT '');",
        "INSERT INTO device_installation_result VALUES(0, 0, 'hw-001:INSTALL_FAILED', 'd', '');
         INSERT INTO ecu_installation_results VALUES('ECU001', 0, 'INSTALL_FAILED', 'no room');",
    ),
    (
        "CREATE TABLE delegations(meta BLOB NOT NULL, role_name TEXT NOT NULL, UNIQUE(role_name));",
        "INSERT INTO delegations VALUES('{\"signed\":1}', 'team');",
    ),
    (
        "DROP TABLE target_images_data; DROP TABLE target_images;
         CREATE TABLE target_images(targetname TEXT PRIMARY KEY, filename TEXT NOT NULL);
         ALTER TABLE device_installation_result ADD correlation_id TEXT NOT NULL DEFAULT '';",
        "",
    ),
    (
        "CREATE TABLE new(id INTEGER PRIMARY KEY, serial TEXT UNIQUE, hardware_id TEXT NOT NULL,
             is_primary INTEGER NOT NULL DEFAULT 0);
         INSERT INTO new(serial, hardware_id, is_primary) SELECT serial, hardware_id, is_primary
             FROM ecu_serials ORDER BY is_primary DESC, rowid;
         DROP TABLE ecu_serials; ALTER TABLE new RENAME TO ecu_serials;",
        "",
    ),
    (
        "ALTER TABLE installed_versions RENAME TO old;
         CREATE TABLE installed_versions(id INTEGER PRIMARY KEY, ecu_serial TEXT NOT NULL,
             sha256 TEXT NOT NULL, name TEXT NOT NULL, hashes TEXT NOT NULL,
             length INTEGER NOT NULL DEFAULT 0, correlation_id TEXT NOT NULL DEFAULT '',
             is_current INTEGER NOT NULL DEFAULT 0, is_pending INTEGER NOT NULL DEFAULT 0,
             was_installed INTEGER NOT NULL DEFAULT 0);
         INSERT INTO installed_versions(ecu_serial, sha256, name, hashes, length, correlation_id,
             is_current, is_pending, was_installed) SELECT ecu_serial, sha256, name, hashes, length,
             correlation_id, is_current, is_pending, 1 FROM old ORDER BY rowid;
         DROP TABLE old;",
        "",
    ),
    ("ALTER TABLE installed_versions ADD COLUMN custom_meta TEXT NOT NULL DEFAULT '';", ""),
    (
        "CREATE TABLE ecu_report_counter(ecu_serial TEXT NOT NULL PRIMARY KEY, counter INTEGER);",
        "INSERT INTO ecu_report_counter VALUES('ECU001', 41);",
    ),
    (
        "ALTER TABLE ecu_serials RENAME TO ecus;
         CREATE TABLE secondary_ecus(serial TEXT PRIMARY KEY, sec_type TEXT, public_key_type TEXT,
             public_key TEXT, extra TEXT, manifest TEXT);",
        "",
    ),
    (
        "CREATE TABLE report_events(id INTEGER PRIMARY KEY, json_string TEXT NOT NULL);",
        "INSERT INTO report_events(json_string) VALUES('{\"id\":\"1\"}');",
    ),
    ("CREATE TABLE device_data(data_type TEXT PRIMARY KEY, hash TEXT NOT NULL);", ""),
    (
        "CREATE TABLE meta_types(meta INTEGER NOT NULL, meta_string TEXT NOT NULL);
         INSERT INTO meta_types VALUES(5, 'offlinesnapshot'), (6, 'offlineupdates');",
        "",
    ),
];

/// Authority, certificate and key of the device.
fn credentials() -> [String; 3] {
    let validity = Validity::days(NOW.parse().unwrap(), 10);
    let authority = CertificateAuthority::create("ca", validity).unwrap();
    let identity = authority.issue_device("device-a", validity).unwrap();
    [authority.certificate_pem().to_owned(), identity.certificate_pem, identity.private_key_pem]
}

/// What a device of the first version keeps that has no fixed form.
fn secrets(db: &Connection, credentials: &[String; 3], root: &[u8]) {
    let insert = "INSERT INTO tls_creds(ca_cert, client_cert, client_pkey) VALUES(?1, ?2, ?3)";
    db.execute(insert, credentials.each_ref()).unwrap();
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap().to_pkcs8_pem().unwrap();
    db.execute("INSERT INTO primary_keys(private, public) VALUES(?1, '')", [key]).unwrap();
    db.execute("INSERT INTO installed_versions(hash, name) VALUES(?1, 'first')", [COMMIT]).unwrap();
    let (targets, empty) = (b"{\"signed\":{}}".as_slice(), b"".as_slice());
    db.execute("INSERT INTO meta VALUES(?1, ?2, ?1, ?2, ?3, ?3)", (root, targets, empty)).unwrap();
}

fn root() -> Vec<u8> {
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let public = key.public();
    let id = public.key_id(Dialect::Uptane).to_string();
    let role = json!({ "keyids": [id], "threshold": 1 });
    let signed = json!({
        "_type": "Root", "version": 1, "expires": "2036-01-01T00:00:00Z",
        "consistent_snapshot": false, "keys": { &id: public.to_json(Dialect::Uptane) },
        "roles": { "root": role, "targets": role },
    });
    let envelope = Envelope::sign(Dialect::Uptane, signed, &[&key]).unwrap();
    envelope.to_bytes(Dialect::Uptane).unwrap()
}

#[test]
fn every_version_comes_over() {
    let (root, credentials) = (root(), credentials());
    for newest in 0..STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.storage.path = folder.path().to_owned();
        let db = Connection::open(folder.path().join("sql.db")).unwrap();
        db.execute_batch("BEGIN").unwrap();
        for (version, (schema, rows)) in STEPS.iter().enumerate().take(newest + 1) {
            let at = |error| panic!("version {version}: {error}");
            db.execute_batch(schema).unwrap_or_else(at);
            db.execute_batch(rows).unwrap_or_else(at);
            if version == 0 {
                secrets(&db, &credentials, &root);
            }
        }
        let version = i64::try_from(newest).unwrap();
        db.execute("INSERT INTO version VALUES(?1)", [version]).unwrap();
        db.execute_batch("COMMIT").unwrap();
        drop(db);

        let store = Store::open(&settings.storage).unwrap();
        let outcome = take_over(&settings, &store, NOW.parse().unwrap()).unwrap();
        assert_eq!(outcome, TakeoverOutcome::TakenOver, "version {newest}");
        assert_eq!(store.identity().unwrap().unwrap().device_id, "device-a");
        let ecu = store.ecu().unwrap().unwrap();
        let known = (ecu.serial.as_str(), ecu.hardware_id.as_str(), ecu.registered);
        assert_eq!(known, ("ECU001", "hw-001", true), "version {newest}");
        let trusted = store.trusted_metadata().unwrap();
        for files in [&trusted.image, &trusted.director] {
            assert_eq!(files.get(&RoleName::Root), Some(&root[..]), "version {newest}");
            assert!(files.get(&RoleName::Targets).is_some(), "version {newest}");
        }
        assert_eq!(store.old_root(Repository::Director, 1).unwrap(), Some(root.clone()));
        // Before version 3 nobody noted which of them runs.
        let installed = store.installed().unwrap().map(|installed| installed.filepath);
        assert_eq!(installed.as_deref(), (newest >= 3).then_some("first"), "version {newest}");
        let counter = store.next_report_counter().unwrap();
        assert_eq!(counter, if newest >= 22 { 42 } else { 1 }, "version {newest}");
        assert_eq!(store.count_events().unwrap(), u64::from(newest >= 24), "version {newest}");
        assert_eq!(store.report().unwrap().is_some(), newest >= 16, "version {newest}");
        assert_eq!(store.delegations().unwrap().len(), usize::from(newest >= 17));
    }
}
