//! Devices that an aktualizr-lite kept until now.

use rusqlite::Connection;
use serde_json::{Value, json};
use updraft_tuf::Dialect;

use crate::site::{Device, Site};

/// What aktualizr-lite reads and writes (aktualizr: `config/sql/schema.sql`, version 25).
const TABLES: &str = "
CREATE TABLE version(version INTEGER);
INSERT INTO version VALUES(25);
CREATE TABLE device_info(unique_mark INTEGER PRIMARY KEY, device_id TEXT, is_registered INTEGER);
CREATE TABLE ecus(id INTEGER PRIMARY KEY, serial TEXT UNIQUE, hardware_id TEXT, is_primary INTEGER);
CREATE TABLE tls_creds(ca_cert BLOB, client_cert BLOB, client_pkey BLOB);
CREATE TABLE meta(meta BLOB, repo INTEGER, meta_type INTEGER, version INTEGER);
CREATE TABLE report_events(id INTEGER PRIMARY KEY, json_string TEXT);
CREATE TABLE installed_versions(id INTEGER PRIMARY KEY, ecu_serial TEXT, sha256 TEXT, name TEXT,
    hashes TEXT, length INTEGER, correlation_id TEXT, is_current INTEGER, is_pending INTEGER,
    was_installed INTEGER, custom_meta TEXT);
INSERT INTO ecus VALUES(1, 'b35d-serial', 'test-board', 1);
";

/// How a target stands in the database.
#[derive(Clone, Copy)]
enum Row {
    Current,
    Pending,
    Failed,
}

/// The state of ours goes, and one of aktualizr-lite's takes its place.
fn as_aktualizr_lite_left_it(site: &Site, device: &Device, rows: &[(u32, Row)]) {
    for name in ["updraft.db", "updraft.db-wal", "updraft.db-shm"] {
        let _ = std::fs::remove_file(device.path("storage").join(name));
    }
    let db = Connection::open(device.path("storage/sql.db")).unwrap();
    db.execute_batch(TABLES).unwrap();
    let files = [("1.root", 0, 1), ("snapshot", 1, -1), ("targets", 2, -1), ("timestamp", 3, -1)];
    for (name, kind, version) in files {
        let bytes = std::fs::read(site.metadata().join(format!("{name}.json"))).unwrap();
        db.execute("INSERT INTO meta VALUES(?1, 0, ?2, ?3)", (bytes, kind, version)).unwrap();
    }
    for (version, row) in rows {
        let custom = json!({"version": version.to_string(), "hardwareIds": ["test-board"],
            "targetFormat": "OSTREE", "tags": ["main"], "lmp-manifest-sha": "abc"});
        let (current, pending, installed) = match row {
            Row::Current => (1, 0, 1),
            Row::Pending => (0, 1, 0),
            Row::Failed => (0, 0, 0),
        };
        let name = format!("test-board-lmp-{version}");
        db.execute(
            "INSERT INTO installed_versions(ecu_serial, sha256, name, hashes, length,
             correlation_id, is_current, is_pending, was_installed, custom_meta)
             VALUES('b35d-serial', ?1, ?2, '', 0, ?3, ?4, ?5, ?6, ?7)",
            (
                site.commit_of(*version),
                name,
                format!("{version}-0a1b2c3d"),
                current,
                pending,
                installed,
                custom.to_string(),
            ),
        )
        .unwrap();
    }
}

#[test]
fn an_aktualizr_lite_is_moved_over_while_its_update_waits_for_the_reboot() {
    let site = Site::new(Dialect::Uptane, &[1, 2, 3]);
    for comes_up in [true, false] {
        let device = site.device(if comes_up { "good" } else { "bad" });
        device.configure(&[("tls.server", &site.server.url())]);
        device.settle("1");
        device.ends(100, &["update", "2"]);
        let rows = [(1, Row::Current), (3, Row::Failed), (2, Row::Pending)];
        as_aktualizr_lite_left_it(&site, &device, &rows);
        let _ = device.callbacks();
        let sent = site.server.log().len();

        // The first commands only look.
        let status = device.ends(0, &["status", "--json", "1"]).json();
        assert_eq!(status["applied_target"]["version"], 1, "{status}");
        assert_eq!(status["pending"]["name"], "test-board-lmp-2", "{status}");
        let listed = device.ends(3, &["list", "--json", "1"]).json();
        assert_eq!((&listed[0]["current"], &listed[2]["failed"]), (&json!(true), &json!(true)));
        device.ends(30, &["update"]);
        device.ends(100, &["finalize"]);
        if comes_up {
            device.boot();
            device.ends(0, &["finalize"]);
        } else {
            device.fall_back();
            device.ends(110, &["finalize"]);
        }
        let runs = if comes_up { 2 } else { 1 };
        let name = format!("test-board-lmp-{runs}");
        assert_eq!(device.runs(), (name, site.commit_of(runs).to_owned()));
        let result = if comes_up { "OK" } else { "FAILED" };
        let told = device.callbacks();
        let end = format!("MESSAGE=install-post RESULT={result}");
        assert!(told.last().unwrap().ends_with(&end), "{told:?}");
        let events: Vec<Value> = site
            .server
            .log()
            .iter()
            .skip(sent)
            .filter(|exchange| exchange.path == "/events")
            .flat_map(|exchange| serde_json::from_slice::<Vec<Value>>(&exchange.body).unwrap())
            .collect();
        let ended = events.iter().find(|one| one["eventType"]["id"] == "EcuInstallationCompleted");
        let ended = &ended.unwrap()["event"];
        assert_eq!(ended["correlationId"], "2-0a1b2c3d");
        assert_eq!(ended["ecu"], "b35d-serial");
        assert_eq!(ended["success"], json!(comes_up));
        // What failed before the move is skipped, and an old root is still the trusted one.
        device.ends(0, &["check"]);
        device.ends(0, &["update"]);
        device.ends(100, &["update", "3"]);
    }
}

#[test]
fn what_is_no_chain_of_roots_is_not_believed() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    device.settle("1");
    let stranger = Site::new(Dialect::Uptane, &[1]);
    as_aktualizr_lite_left_it(&site, &device, &[(1, Row::Current)]);
    let db = Connection::open(device.path("storage/sql.db")).unwrap();
    let mut root: Value =
        serde_json::from_slice(&std::fs::read(stranger.metadata().join("1.root.json")).unwrap())
            .unwrap();
    root["signed"]["version"] = json!(2);
    db.execute("INSERT INTO meta VALUES(?1, 0, 0, 2)", [root.to_string()]).unwrap();
    device.ends(11, &["check"]);
    db.execute("DELETE FROM meta WHERE version = 2", []).unwrap();
    device.ends(0, &["check"]);
}
