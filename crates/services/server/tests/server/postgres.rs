//! PostgreSQL in the place of SQLite, and several servers that share it. The whole suite runs with
//! PostgreSQL when `UPDRAFT_TEST_DATABASE=postgresql` is set.

use std::collections::BTreeSet;

use peers::PostgresDatabase;
use serde_json::json;
use updraft_api::{RolloutState, paths};
use updraft_error::{Classify as _, Kind};
use updraft_http::Method;
use updraft_server_service::config::DatabaseConfig;
use updraft_server_service::error::Error;
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::storage::Database;
use updraft_server_service::storage::sql::Transaction;
use updraft_server_service::{Config, Layout};

use crate::device::Device;
use crate::hawkbit::Hawkbit;
use crate::operator::{Operator, create_rollout, rollout};
use crate::world::World;

fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig { url: Some(url.to_owned()), ..DatabaseConfig::default() }
}

fn open(url: &str) -> Result<Database, Error> {
    Database::of(&Layout::new("/nonexistent"), &config(url))
}

#[test]
fn what_one_server_does_the_other_knows() {
    let mut world = World::with_postgres();
    world.start_another();
    both_know(&mut world);
}

pub(crate) fn both_know(world: &mut World) {
    let mut operator = Operator::new(world);
    operator.release(world, "v1", "one");
    let timestamp = |world: &World| world.get(&world.operator(), "/repo/timestamp.json").body;
    let of_one = timestamp(world);
    world.turn();
    assert_eq!(timestamp(world), of_one);
    let mut devices: Vec<Device> = (0..4).map(|n| Device::new(world, &format!("d{n}"))).collect();
    world.turn();
    create_rollout(world, &json!({ "name": "first", "release": "v1" })).expect(201);
    assert_eq!(rollout(world, "first").state, RolloutState::Running);
    for device in &mut devices {
        world.turn();
        device.install(world);
    }
    for _ in 0..2 {
        world.turn();
        assert_eq!(rollout(world, "first").state, RolloutState::Finished);
    }
    // What the other one signs next goes on from here, and not from what it had before.
    world.turn();
    operator.release(world, "v2", "two");
    world.turn();
    operator.release(world, "v3", "three");
    let newest = timestamp(world);
    world.turn();
    assert_eq!(timestamp(world), newest);
}

#[test]
fn a_device_may_talk_to_both_about_one_action() {
    let mut world = World::with_postgres();
    world.start_another();
    let mut hawkbit = Hawkbit::of(world);
    hawkbit.world.turn();
    assert!(hawkbit.poll("d1").get("_links").is_some());
    let (set, _) = hawkbit.make_set("1.0", b"content");
    let told = |hawkbit: &Hawkbit| hawkbit.poll("d1")["_links"].get("deploymentBase").is_some();
    for _ in 0..2 {
        hawkbit.world.turn();
        assert!(!told(&hawkbit));
    }
    let action = hawkbit.assign(set, "d1", &json!({ "type": "forced" }));
    for _ in 0..2 {
        hawkbit.world.turn();
        assert!(told(&hawkbit));
    }
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    for _ in 0..2 {
        hawkbit.world.turn();
        assert!(!told(&hawkbit));
    }
    // What was switched off at one is off at the other.
    hawkbit.configure("authentication.gatewaytoken.enabled", &json!(false));
    hawkbit.world.turn();
    hawkbit.ddi("d1", "", &[]).expect(401);
}

#[test]
fn a_database_server_that_crashed_is_found_again() {
    let database = PostgresDatabase::alone().expect("PostgreSQL");
    let world = World::with_database(database.clone());
    let group = |name: &str| json!({ "name": name });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group("one")).expect(201);
    let ready = || world.get(&world.client(None, None), paths::READY).status;
    assert_eq!(ready(), 200);
    for name in ["two", "three"] {
        database.server.crash_and_restart().expect("it comes up again");
        // All connections were cut, and none of that is the operator's business.
        world.get(&world.operator(), &paths::group("one")).expect(200);
        world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group(name)).expect(201);
    }
    let page = world.get(&world.operator(), paths::GROUPS).json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(3), "{page}");
}

#[test]
fn the_audit_log_is_append_only_here_too() {
    let world = World::with_postgres();
    let group = json!({ "name": "lab" });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    let database = world.postgres.as_ref().expect("PostgreSQL");
    for statement in [
        "UPDATE updraft.audit SET entry = '{}'",
        "DELETE FROM updraft.audit",
        "TRUNCATE updraft.audit",
        "INSERT INTO updraft.audit (number, entry, hash, at) VALUES (9, '{}', '', 0)",
    ] {
        let error = database.run(statement).expect_err(statement);
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}

/// Statements that wait for no answer fail for whom they are, and not for those who share the commit.
#[test]
fn what_one_cannot_write_undoes_nothing_of_the_others() {
    const INSERT: &str = "INSERT INTO settings (name, value) VALUES (?1, '1')";
    let world = World::with_postgres();
    let database = open(&world.postgres.as_ref().expect("PostgreSQL").url()).expect("a database");
    let insert = |tx: &Transaction<'_>, name: &str| {
        tx.execute_later(INSERT, [name]).map_err(Error::database("test"))
    };
    database.write("test", |tx| insert(tx, "member-taken")).expect("the first one");
    let begun = std::sync::Barrier::new(24);
    std::thread::scope(|scope| {
        for number in 0..24_u32 {
            let (database, begun) = (&database, &begun);
            scope.spawn(move || {
                begun.wait();
                let outcome = database.write_together("test", |tx| {
                    match number % 4 {
                        0 => insert(tx, "member-taken")?,
                        _ => insert(tx, &format!("member-{number}"))?,
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    match number % 4 {
                        1 => Err(Error::not_found("a number", number.to_string())),
                        _ => Ok(()),
                    }
                });
                assert_eq!(outcome.is_ok(), number % 4 > 1, "{number}: {outcome:?}");
            });
        }
    });
    let count = "SELECT count(*) FROM settings WHERE name LIKE 'member-%'";
    let stored = database.read("test", |reader| {
        reader.query_row(count, [], |row| row.get::<_, i64>(0)).map_err(Error::database("test"))
    });
    assert_eq!(stored.expect("a count"), 13, "twelve, and the first one");
}

#[test]
fn a_text_that_postgresql_cannot_store_is_the_senders_fault() {
    let world = World::with_postgres();
    let group = json!({ "name": "lab", "description": "a\0b" });
    let answer = world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group);
    assert!(answer.text().contains("NUL"), "{}", answer.text());
    answer.expect(400);
}

/// A column that one of the two does not have would be found only by whoever uses it.
#[test]
fn both_databases_have_the_same_tables_and_columns() {
    let sqlite = World::stopped_with_sqlite();
    let connection = rusqlite::Connection::open(sqlite.layout.database()).expect("database");
    let mut statement = connection
        .prepare(
            "SELECT t.name || '.' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'bigint'
                 WHEN 'TEXT' THEN 'text' WHEN 'BLOB' THEN 'bytea' WHEN 'REAL' THEN 'double precision'
                 ELSE c.type END || CASE WHEN c.\"notnull\" OR c.pk THEN ' NOT NULL' ELSE '' END
                 || coalesce(' ' || c.dflt_value, '')
             FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        )
        .expect("statement");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    let ours: BTreeSet<String> = rows.collect::<Result<_, _>>().expect("rows");
    let world = World::with_postgres();
    let database = world.postgres.as_ref().expect("PostgreSQL");
    let theirs = database
        .run(
            "SELECT table_name || '.' || column_name || ' ' || data_type
                 || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END
                 || coalesce(' ' || replace(column_default, '::text', ''), '')
             FROM information_schema.columns
             WHERE table_schema = 'updraft' AND table_name <> 'schema_version'",
        )
        .expect("columns");
    let theirs: BTreeSet<String> = theirs.lines().map(str::to_owned).collect();
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        one.difference(other).cloned().collect()
    };
    assert_eq!((only(&ours, &theirs), only(&theirs, &ours)), (Vec::new(), Vec::new()));
    let version = database.run("SELECT version FROM updraft.schema_version").expect("a version");
    let own: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert_eq!(version, own.to_string());
}

#[test]
fn what_is_wrong_with_a_database_is_said() {
    let database = PostgresDatabase::new().expect("PostgreSQL");
    // An empty one is no server's.
    let error = open(&database.url()).expect_err("empty");
    assert!(error.to_string().contains("init --database"), "{error}");
    // One that is in use is not filled again.
    let folder = tempfile::tempdir().expect("folder");
    let world = World::with_postgres();
    let used = world.postgres.as_ref().expect("PostgreSQL");
    let options = InitOptions { database: config(&used.url()), ..InitOptions::default() };
    let layout = Layout::new(folder.path().join("data"));
    let error = setup::init(&layout, &options, &world.environment()).expect_err("in use");
    assert_eq!((error.kind(), error.code()), (Kind::Conflict, "already_initialised"));
    // One of a newer server is left alone.
    used.run("UPDATE updraft.schema_version SET version = 999").expect("newer");
    let error = open(&used.url()).expect_err("newer");
    assert!(error.to_string().contains("schema 999"), "{error}");
    // One that cannot be reached may be there later.
    let error = open("host=/nonexistent dbname=updraft user=x").expect_err("nobody");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.hint().is_some_and(|hint| hint.contains("[database]")));
}

#[test]
fn secrets_in_addresses_and_networks_without_tls_are_refused() {
    for (url, word) in [
        ("postgresql://updraft:secret@db.example.com/updraft", "password_file"),
        ("postgresql://updraft@db.example.com/updraft", "database.ca"),
        ("postgresql://updraft@db.example.com", "names no database"),
        ("nonsense", "database.url"),
    ] {
        let error = open(url).expect_err(url);
        assert_eq!(error.kind(), Kind::Invalid);
        let said = updraft_server_service::error::chain(&error);
        assert!(said.contains(word) && !said.contains("secret@"), "{url}: {said}");
    }
    let lonely = "[database]\nca = \"ca.pem\"\n";
    assert!(Config::parse(lonely).expect_err("of no use").contains("database.url"));
}
