//! Servers that share a PostgreSQL hear at once of what another one wrote.

use std::time::{Duration, Instant};

use serde_json::json;
use updraft_api::paths;
use updraft_http::Method;

use crate::event_stream::Reader;
use crate::world::World;

const LISTENERS: &str = "FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'updraft-server listener' AND query LIKE 'LISTEN%' AND state = 'idle'";
/// Much less than servers that listen take between two looks of their own.
const AT_ONCE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

fn two_servers() -> World {
    let mut world = World::with_postgres();
    world.start_another();
    wait_for_listeners(&world, 2);
    world
}

fn wait_for_listeners(world: &World, count: usize) {
    let database = world.postgres.as_ref().expect("PostgreSQL");
    let begun = Instant::now();
    loop {
        let found = database.run(&format!("SELECT count(*) {LISTENERS}")).expect("a count");
        if found == count.to_string() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found} servers listen, and not {count}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn make_group(world: &World, name: &str) {
    let body = json!({ "name": name });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &body).expect(201);
}

/// How long it takes until a reader at one server has what was written at the other one.
fn times(world: &mut World, reader: &mut Reader, name: &str) -> Vec<Duration> {
    world.turn();
    let times = (0..8)
        .map(|number| {
            let begun = Instant::now();
            make_group(world, &format!("{name}-{number}"));
            reader.until(&format!("group {name}-{number} was made"));
            begun.elapsed()
        })
        .collect();
    world.turn();
    times
}

#[test]
fn what_another_server_wrote_is_told_at_once() {
    let mut world = two_servers();
    let mut reader = Reader::new(&world, &world.token, "");
    reader.until("retry: ");
    let times = times(&mut world, &mut reader, "lab");
    assert!(times.iter().all(|time| *time < AT_ONCE), "{times:?}");
    println!("from one server to a reader at the other: {times:?}");
}

#[test]
fn a_server_that_cannot_listen_looks_and_listens_again() {
    let mut world = two_servers();
    let mut reader = Reader::new(&world, &world.token, "");
    reader.until("retry: ");
    let database = world.postgres.clone().expect("PostgreSQL");
    let cut = database.run(&format!("SELECT pg_terminate_backend(pid) {LISTENERS}"));
    assert_eq!(cut.expect("cut"), "t\nt");
    // What is written now comes, be it heard or looked for.
    world.turn();
    make_group(&world, "meanwhile");
    reader.until("group meanwhile was made");
    world.turn();
    wait_for_listeners(&world, 2);
    let times = times(&mut world, &mut reader, "later");
    assert!(times.iter().all(|time| *time < AT_ONCE), "{times:?}");
    // Without a database nobody can listen; with it, they find it again.
    let alone = peers::PostgresDatabase::alone().expect("PostgreSQL");
    let mut world = World::with_database(alone.clone());
    world.start_another();
    wait_for_listeners(&world, 2);
    alone.server.crash_and_restart().expect("it comes up again");
    wait_for_listeners(&world, 2);
    make_group(&world, "afterwards");
}

/// A planner waits for its turn or for a word; here its turn is an hour away.
#[test]
fn the_planner_of_another_server_hears_of_it_too() {
    let mut world = World::with_postgres();
    world.configure("[devices]\nreconcile_sec = 3600\n");
    world.restart();
    world.start_another();
    wait_for_listeners(&world, 2);
    // Nobody but who hears of this event can see that it is time.
    let hawkbit = crate::hawkbit::Hawkbit::of(world);
    hawkbit.make_target("d1");
    let (set, _) = hawkbit.make_set("1", b"one");
    let begun = Instant::now();
    let database = hawkbit.world.postgres.clone().expect("PostgreSQL");
    database
        .run(&format!(
            "BEGIN; SET search_path TO updraft;
             INSERT INTO target_filters (name, query, auto_set, auto_kind, auto_state, auto_by,
                     created_by, created_at, modified_by, modified_at)
                 VALUES ('by another', 'id==d1', {set}, 'forced', 'running', 'x', 'x', 0, 'x', 0);
             INSERT INTO events (at, kind, actor, message) VALUES (0, 'group_created', 'x', 'x');
             COMMIT"
        ))
        .expect("written");
    loop {
        let path = "targets/d1/actions";
        let actions = hawkbit.rest("GET", path, None).expect(200).json();
        if actions["total"] == 1 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody heard of it");
        std::thread::sleep(Duration::from_millis(20));
    }
}
