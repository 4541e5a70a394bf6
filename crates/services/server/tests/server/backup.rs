//! Backups, and servers that go on from them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use peers::PostgresDatabase;
use updraft_api::{RolloutState, paths};
use updraft_error::{Classify as _, Kind};
use updraft_http::Method;
use updraft_server_service::config::DatabaseConfig;
use updraft_server_service::setup::{self, RestoreTo};
use updraft_server_service::{Error, Fleet, Layout, Result};
use updraft_task::Context;

use crate::device::Device;
use crate::hawkbit::Hawkbit;
use crate::operator::{Operator, create_rollout, everybody, rollout};
use crate::world::World;

fn backup(world: &World, contents: bool) -> Vec<u8> {
    backup_of(world, &world.layout, contents)
}

fn backup_of(world: &World, layout: &Layout, contents: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let now = world.environment().now();
    setup::backup(&Context::silent(), layout, now, contents, &mut bytes).expect("a backup");
    bytes
}

fn restore(world: &World, layout: &Layout, to: &RestoreTo, bytes: &[u8]) -> Result<()> {
    setup::restore(&Context::silent(), layout, to, world.environment(), bytes).map(drop)
}

#[test]
fn devices_that_saw_more_than_the_backup_go_on_with_the_restored_server() {
    let mut world = World::with_sqlite_and_folder();
    let mut operator = Operator::new(&world);
    operator.release(&world, "v1", "one");
    let mut device = Device::new(&world, "vehicle-1");
    create_rollout(&world, &serde_json::json!({ "name": "r1", "release": "v1" })).expect(201);
    rollout(&world, "r1");
    device.install(&world);
    let bytes = backup(&world, true);

    // What was signed since is lost with the server, and the device has it.
    for _ in 0..3 {
        world.clock.pass(4 * 24 * 3600);
        world.fleet().renew_image_metadata().expect("renewed");
        assert!(device.update(&world).is_none());
    }
    world.stop();
    std::fs::remove_dir_all(world.layout.root()).expect("lost");
    restore(&world, &world.layout, &RestoreTo::Same, &bytes).expect("restored");
    world.start();

    assert_eq!(rollout(&world, "r1").state, RolloutState::Finished);
    assert!(device.update(&world).is_none());
    operator.release(&world, "v2", "two");
    let release = everybody("r2", "v2");
    world.send_json(&world.operator(), Method::Post, paths::ROLLOUTS, &release).expect(201);
    rollout(&world, "r2");
    device.install(&world);
    assert_eq!(rollout(&world, "r2").state, RolloutState::Finished);
    let events = world.get(&world.operator(), paths::EVENTS).expect(200).text();
    assert!(events.contains("backup_restored"), "{events}");
    assert!(world.fleet().database().check().expect("read").is_empty());
}

/// All rows of a database, in words.
fn rows(file: &Path) -> BTreeMap<String, Vec<String>> {
    let database = rusqlite::Connection::open(file).expect("database");
    let mut tables = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'sqlite_stat1'")
        .expect("tables");
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).expect("tables");
    tables
        .map(|table| {
            let table = table.expect("a table");
            let mut statement =
                database.prepare(&format!("SELECT * FROM \"{table}\"")).expect("a table");
            let width = statement.column_count();
            let rows = statement.query_map([], |row| {
                let values = (0..width).map(|at| Ok(format!("{:?}", row.get_ref(at)?)));
                Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
            });
            let mut rows: Vec<String> =
                rows.expect("rows").collect::<rusqlite::Result<_>>().expect("rows");
            rows.sort();
            (table, rows)
        })
        .collect()
}

#[test]
fn a_backup_leads_from_one_database_to_the_other_and_back() {
    let mut hawkbit = Hawkbit::of(World::with_sqlite_and_folder());
    hawkbit.make_target("ddi-1");
    hawkbit.make_set("1.0", b"content");
    let world = &mut hawkbit.world;
    let mut operator = Operator::new(world);
    operator.release(world, "v1", "one");
    let mut device = Device::new(world, "vehicle-1");
    create_rollout(world, &serde_json::json!({ "name": "r1", "release": "v1" })).expect(201);
    rollout(world, "r1");
    device.install(world);
    world.stop();
    let first = backup(world, true);

    let postgres = PostgresDatabase::new().expect("PostgreSQL");
    let database = DatabaseConfig { url: Some(postgres.url()), ..DatabaseConfig::default() };
    let to_postgres = RestoreTo::Postgres(database);
    let second = Layout::new(world.folder.path().join("second"));
    restore(world, &second, &to_postgres, &first).expect("restored to PostgreSQL");
    assert!(!second.database().exists());
    // What is in use is not filled again, and the folder is as it was.
    let again = Layout::new(world.folder.path().join("again"));
    let error = restore(world, &again, &to_postgres, &first).expect_err("in use");
    assert_eq!((error.kind(), error.code()), (Kind::Conflict, "already_initialised"));
    assert!(std::fs::read_dir(again.root()).expect("folder").next().is_none());

    let third = Layout::new(world.folder.path().join("third"));
    let bytes = backup_of(world, &second, true);
    restore(world, &third, &RestoreTo::Sqlite, &bytes).expect("restored to SQLite");
    let (mut before, mut after) = (rows(&world.layout.database()), rows(&third.database()));
    assert!(before.len() > 50 && before["devices"].len() == 2, "{before:?}");
    // What going on from a backup changes.
    for table in ["director_versions", "director_metadata", "events", "sqlite_sequence"] {
        before.remove(table);
        after.remove(table);
    }
    assert_eq!(before, after);
    // The next event is no number that was given before.
    let numbers = |layout: &Layout| {
        let database = rusqlite::Connection::open(layout.database()).expect("database");
        let one = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
        let of = |table| database.query_row(one, [table], |row| row.get::<_, i64>(0));
        (of("events").expect("events"), of("software_module_types").expect("types"))
    };
    let (before, after) = (numbers(&world.layout), numbers(&third));
    assert_eq!((before.0 + 2, before.1), after, "two restores were noted");
    let config = updraft_server_service::Config::load(&third.config()).expect("configuration");
    Fleet::open(third, config, world.environment()).expect("it opens");
}

#[test]
fn a_server_that_has_done_nothing_is_restored_too() {
    let world = World::stopped_with_sqlite();
    let layout = Layout::new(world.folder.path().join("new"));
    restore(&world, &layout, &RestoreTo::Same, &backup(&world, true)).expect("restored");
    let config = updraft_server_service::Config::load(&layout.config()).expect("configuration");
    Fleet::open(layout, config, world.environment()).expect("it opens");
}

#[test]
fn without_contents_the_rest_is_a_server() {
    let mut world = World::with_sqlite_and_folder();
    Operator::new(&world).release(&world, "v1", "one");
    world.stop();
    let (whole, rest) = (backup(&world, true), backup(&world, false));
    let at = |name: &str| Layout::new(world.folder.path().join(name));
    restore(&world, &at("whole"), &RestoreTo::Same, &whole).expect("restored");
    restore(&world, &at("rest"), &RestoreTo::Same, &rest).expect("restored");
    let objects = |name: &str| {
        let folders = std::fs::read_dir(at(name).treehub().join("objects")).expect("objects");
        folders.filter(|folder| folder.as_ref().expect("folder").path().is_dir()).count()
    };
    assert!(objects("whole") > 0);
    assert_eq!(objects("rest"), 0);
}

#[test]
fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let mut world = World::with_sqlite();
    Operator::new(&world).release(&world, "v1", "one");
    world.stop();
    let good = backup(&world, true);
    setup::check_backup(&Context::silent(), good.as_slice()).expect("whole");
    let layout = Layout::new(world.folder.path().join("new"));
    let refused = |bytes: &[u8], why: &str| {
        for error in [
            setup::check_backup(&Context::silent(), bytes).map(drop).expect_err(why),
            restore(&world, &layout, &RestoreTo::Same, bytes).expect_err(why),
        ] {
            assert_eq!(error.kind(), Kind::Invalid, "{why}: {error}");
            assert!(matches!(error, Error::Invalid { what: "the backup", .. }), "{why}: {error}");
        }
        let left = std::fs::read_dir(layout.root()).expect("folder").next();
        assert!(left.is_none(), "{why}: {left:?}");
    };
    refused(b"", "empty");
    refused(b"this is not a backup", "something else");
    for tenths in 1..10 {
        refused(&good[..good.len() * tenths / 10], "cut short");
    }
    for tenths in 1..10 {
        let mut bytes = good.clone();
        let at = bytes.len() * tenths / 10;
        bytes[at] ^= 0x10;
        refused(&bytes, "changed");
    }
    let about = br#"{"form":1,"version":"1","made_at":"2026-01-01T00:00:00Z","contents":true}"#;
    let newer = br#"{"form":9,"version":"9","made_at":"2026-01-01T00:00:00Z","contents":true}"#;
    refused(&archive(&[("backup.json", newer)]), "a newer form");
    refused(&archive(&[("server.toml", b"")]), "it does not say what it is");
    refused(&archive(&[("backup.json", about), ("../outside", b"x")]), "a path that leads out");
    refused(&archive(&[("backup.json", about), ("/outside", b"x")]), "an absolute path");
    refused(&archive(&[("backup.json", about), ("extra", b"x"), ("SHA256SUMS", b"")]), "unlisted");
    refused(&archive(&[("backup.json", about), ("a", b"1"), ("a", b"2")]), "twice");
    assert!(!world.folder.path().join("outside").exists());

    // A folder with something in it is somebody's.
    let error = restore(&world, &world.layout, &RestoreTo::Same, &good).expect_err("in use");
    assert_eq!(error.kind(), Kind::Conflict);
}

/// A packed archive with these files, whose names are taken as they are.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut head = tar::Header::new_gnu();
        head.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name.as_bytes());
        head.set_entry_type(tar::EntryType::Regular);
        head.set_size(bytes.len() as u64);
        head.set_mode(0o644);
        head.set_cksum();
        tar.append(&head, *bytes).expect("an entry");
    }
    let mut packed = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
    packed.write_all(&tar.into_inner().expect("tar")).expect("written");
    packed.finish().expect("packed")
}
