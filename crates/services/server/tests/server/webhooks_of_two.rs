//! Webhooks, told by two servers that share a database: each event is told, and as a rule once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updraft_api::{EventKind, paths};
use updraft_http::Method;
use updraft_http::testing::{Answer as Reply, Exchange, Server};

use crate::world::World;

const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than both servers take between two looks.
const TWO_LOOKS: Duration = Duration::from_secs(5);

fn two_servers(receiver: &Server) -> World {
    let mut world = World::with_postgres();
    world.configure(format!("[notifications]\nwebhooks_to = [\"{}/\"]\n", receiver.url()));
    world.restart();
    let body = json!({
        "name": "hook", "target": { "webhook": { "url": format!("{}/hook", receiver.url()) } },
        "events": [EventKind::GroupCreated],
    });
    world.send_json(&world.operator(), Method::Post, paths::SUBSCRIPTIONS, &body).expect(201);
    world.start_another();
    world
}

fn make_group(world: &World, name: &str) {
    let body = json!({ "name": name });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &body).expect(201);
}

/// What was told, in the order in which it came: the events' ids and what they say.
fn told(receiver: &Server) -> Vec<(String, String)> {
    let read = |exchange: &Exchange| {
        let body: Value = serde_json::from_slice(&exchange.body).expect("JSON");
        let id = exchange.header("webhook-id").expect("an id").to_owned();
        (id, body["data"]["message"].as_str().unwrap_or_default().to_owned())
    };
    receiver.log().iter().map(read).collect()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn each_event_is_told_once_and_in_order() {
    const EVENTS: usize = 30;
    let receiver = Server::start(|_| {
        // Time enough for the other server to try the same.
        std::thread::sleep(Duration::from_millis(30));
        Reply::Bytes(200, Vec::new())
    });
    let mut world = two_servers(&receiver);
    for number in 0..EVENTS {
        make_group(&world, &format!("g{number}"));
        world.turn();
    }
    until("being told of all", || receiver.log().len() >= EVENTS);
    std::thread::sleep(TWO_LOOKS);
    let told: Vec<String> = told(&receiver).into_iter().map(|(_, message)| message).collect();
    let expected: Vec<String> =
        (0..EVENTS).map(|number| format!("group g{number} was made")).collect();
    assert_eq!(told, expected);
}

#[test]
fn what_a_dead_server_was_telling_another_one_tells() {
    let receiver = Server::start(|_| Reply::Bytes(200, Vec::new()));
    let world = two_servers(&receiver);
    // One that died while it had its turn: it had told of the event, or it had not.
    let until_when = jiff::Timestamp::now().as_millisecond() + 120_000;
    let database = world.postgres.as_ref().expect("PostgreSQL");
    database
        .run(&format!(
            "INSERT INTO updraft.leases (name, holder, until)
             VALUES ('subscription hook', 'a dead one', {until_when})
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until"
        ))
        .expect("a lease");
    make_group(&world, "meanwhile");
    std::thread::sleep(TWO_LOOKS);
    assert_eq!(told(&receiver).len(), 0, "the turn is the dead one's");
    world.clock.pass(121);
    until("being told", || !receiver.log().is_empty());
    std::thread::sleep(TWO_LOOKS);
    assert_eq!(told(&receiver).len(), 1);
}

#[test]
fn a_server_that_stops_leaves_the_rest_to_the_other_one() {
    const EVENTS: usize = 20;
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let receiver = Server::start(move |_| {
        if is_slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(300));
        }
        Reply::Bytes(200, Vec::new())
    });
    let mut world = two_servers(&receiver);
    for number in 0..EVENTS {
        make_group(&world, &format!("g{number}"));
    }
    until("the beginning", || receiver.log().len() > 2);
    // Whichever of them is telling: one stops and is started again, then the other one.
    for _ in 0..2 {
        world.restart();
        world.turn();
    }
    slow.store(false, Ordering::SeqCst);
    until("being told of all", || receiver.log().len() >= EVENTS);
    std::thread::sleep(TWO_LOOKS);
    let told = told(&receiver);
    assert_eq!(told.len(), EVENTS, "{told:?}");
    let ids: std::collections::BTreeSet<&String> = told.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), EVENTS);
}
