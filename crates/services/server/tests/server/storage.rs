//! Damaged, locked and foreign data folders: a clear word, and nothing made worse.

use std::os::unix::fs::PermissionsExt as _;

use updraft_error::{Classify as _, Kind};
use updraft_server_service::error::DatabaseTrouble;
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::storage::Database;
use updraft_server_service::{Config, Error, Fleet, Layout, Result, http};

use crate::device::Device;
use crate::world::World;

fn trouble(result: Result<Database>) -> DatabaseTrouble {
    match result {
        Err(Error::DatabaseFile { trouble, .. }) => trouble,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn a_missing_database_says_how_to_make_one() {
    let folder = tempfile::tempdir().expect("folder");
    let layout = Layout::new(folder.path());
    let result = Database::open(&layout.database());
    let hint = result.as_ref().expect_err("missing").hint();
    assert!(hint.expect("a hint").contains("updraft-server init"));
    assert_eq!(trouble(result), DatabaseTrouble::Missing);
}

#[test]
fn a_damaged_database_is_refused() {
    let world = World::stopped_with_sqlite();
    let path = world.layout.database();
    std::fs::write(&path, b"this is not a database, not at all".repeat(100)).expect("damage");
    assert_eq!(trouble(Database::open(&path)), DatabaseTrouble::Corrupt);
    let config = Config::load(&world.layout.config()).expect("configuration");
    let error = Fleet::open(world.layout.clone(), config, world.environment());
    assert_eq!(error.expect_err("damaged").kind(), Kind::Invalid);
}

#[test]
fn damage_in_the_middle_is_found_by_the_check() {
    let world = World::stopped_with_sqlite();
    let path = world.layout.database();
    let mut bytes = std::fs::read(&path).expect("database");
    let page = 4096;
    for byte in &mut bytes[page * 3..page * 12] {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).expect("damage");
    let found = Database::open(&path).and_then(|database| database.check());
    assert!(!matches!(found, Ok(ref lines) if lines.is_empty()));
}

#[test]
fn a_database_that_cannot_be_written_is_refused() {
    let world = World::stopped_with_sqlite();
    let path = world.layout.database();
    // Root may write everything but an immutable file.
    let immutable = |flag: &str| {
        std::process::Command::new("chattr")
            .arg(flag)
            .arg(&path)
            .status()
            .expect("chattr")
            .success()
    };
    assert!(immutable("+i"));
    let result = Database::open(&path);
    assert!(immutable("-i"));
    assert_eq!(trouble(result), DatabaseTrouble::ReadOnly);
}

#[test]
fn a_database_of_a_newer_server_is_refused() {
    let world = World::stopped_with_sqlite();
    let path = world.layout.database();
    let connection = rusqlite::Connection::open(&path).expect("database");
    connection.pragma_update(None, "user_version", 999).expect("pragma");
    drop(connection);
    assert_eq!(trouble(Database::open(&path)), DatabaseTrouble::TooNew);
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("updraft.db");
    let connection = rusqlite::Connection::open(&path).expect("database");
    connection.execute_batch("CREATE TABLE x (y); PRAGMA user_version = 1").expect("other");
    drop(connection);
    assert_eq!(trouble(Database::open(&path)), DatabaseTrouble::Corrupt);
}

#[test]
fn a_database_that_another_process_holds_is_named_as_locked() {
    let world = World::with_sqlite();
    let device = Device::new(&world, "vehicle-1");
    let other = rusqlite::Connection::open(world.layout.database()).expect("database");
    other.execute_batch("BEGIN EXCLUSIVE").expect("held");
    // Reading goes on, writing is answered with "try again".
    world.get(&device.client(&world), "/director/1.root.json").expect(200);
    let body = serde_json::json!({ "name": "lab" });
    let answer = world.send_json(
        &world.operator(),
        updraft_http::Method::Post,
        updraft_api::paths::GROUPS,
        &body,
    );
    assert_eq!(answer.json()["kind"], "unavailable");
    answer.expect(503);
    other.execute_batch("ROLLBACK").expect("let go");
    world
        .send_json(&world.operator(), updraft_http::Method::Post, updraft_api::paths::GROUPS, &body)
        .expect(201);
}

#[test]
fn only_one_server_runs_on_a_data_folder() {
    let world = World::stopped_with_sqlite();
    let first = setup::lock(&world.layout).expect("free");
    let error = setup::lock(&world.layout).expect_err("taken");
    assert_eq!(error.kind(), Kind::Conflict);
    drop(first);
    drop(setup::lock(&world.layout).expect("free again"));
}

#[test]
fn init_leaves_an_existing_folder_alone() {
    let world = World::stopped_with_sqlite();
    let before = std::fs::read(world.layout.ca_key()).expect("key");
    let again = setup::init(&world.layout, &InitOptions::default(), &world.environment());
    assert_eq!(again.expect_err("exists").kind(), Kind::Conflict);
    assert_eq!(std::fs::read(world.layout.ca_key()).expect("key"), before);
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let world = World::stopped_with_sqlite();
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("file").permissions().mode() & 0o777
    };
    assert_eq!(mode(world.layout.root()), 0o700);
    assert_eq!(mode(&world.layout.ca_key()), 0o600);
    assert_eq!(mode(&world.layout.server_key()), 0o600);
    let mut keys = 0;
    for repository in [world.layout.director_keys(), world.layout.image_keys()] {
        for role in std::fs::read_dir(repository).expect("folder") {
            for key in std::fs::read_dir(role.expect("role").path()).expect("folder") {
                assert_eq!(mode(&key.expect("key").path()), 0o600);
                keys += 1;
            }
        }
    }
    assert_eq!(keys, 6);
}

#[test]
fn a_missing_key_is_named() {
    let world = World::stopped_with_sqlite();
    std::fs::remove_dir_all(world.layout.director_keys().join("targets")).expect("removed");
    let config = Config::load(&world.layout.config()).expect("configuration");
    let error = Fleet::open(world.layout.clone(), config, world.environment());
    let error = error.expect_err("missing");
    assert!(error.to_string().contains("keys/director/targets"), "{error}");
}

#[test]
fn a_tls_file_that_is_none_is_named() {
    let world = World::stopped_with_sqlite();
    std::fs::write(world.layout.server_key(), "rubbish").expect("written");
    let error = http::check_tls(&world.layout).expect_err("no key");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().starts_with("read tls/server.key: "), "{error}");
}

#[test]
fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let world = World::stopped_with_sqlite();
    let schema = |path: &std::path::Path| -> Vec<String> {
        let connection = rusqlite::Connection::open(path).expect("database");
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .expect("statement");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    };
    let newest = schema(&world.layout.database());
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", world.layout.database().display());
        drop(std::fs::remove_file(path));
    }
    let connection = rusqlite::Connection::open(world.layout.database()).expect("database");
    connection
        .execute_batch(include_str!("../../src/storage/schema/1.sql"))
        .expect("the first schema");
    connection
        .execute("INSERT INTO tokens VALUES ('old', x'00', 'read', 0, NULL)", [])
        .expect("a token");
    connection.pragma_update(None, "application_id", 0x7570_6472).expect("pragma");
    connection.pragma_update(None, "user_version", 1).expect("pragma");
    drop(connection);
    let database = Database::open(&world.layout.database()).expect("migrated");
    assert_eq!(schema(&world.layout.database()), newest);
    let tokens = updraft_server_service::fleet::operators::list_tokens(&database).expect("list");
    assert_eq!((tokens.len(), tokens[0].expires_at), (1, None));
}

#[test]
fn a_folder_that_is_none_says_how_to_make_one() {
    let error = setup::lock(&Layout::new("/nonexistent")).expect_err("none");
    assert!(error.hint().is_some_and(|hint| hint.contains("init")), "{error}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_line() {
    let world = World::stopped_with_sqlite();
    std::fs::write(world.layout.config(), "[server]\nlisen = \"x\"\n").expect("written");
    let error = Config::load(&world.layout.config()).expect_err("typo").to_string();
    assert!(error.contains("server.toml") && error.contains("line 2"), "{error}");
}
