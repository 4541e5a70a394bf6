//! Guesses at passwords, counted by all servers together.

use std::net::IpAddr;

use serde_json::json;
use updraft_api::{Login, Role, paths};
use updraft_http::Method;
use updraft_server_service::error::Error;

use crate::sessions::{PASSWORD, log_in, make_user, try_log_in};
use crate::world::World;

fn login(user: &str, password: &str) -> Login {
    serde_json::from_value(json!({ "user": user, "password": password })).expect("a login")
}

fn from(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([10, 0, high, low])
}

/// How long somebody has to wait; 0 where they may try.
fn wait(world: &World, user: &str, from: IpAddr) -> u64 {
    match world.fleet().log_in(&login(user, "a wrong guess at it"), from) {
        Err(Error::TooOften { seconds }) => seconds,
        Err(Error::Login { .. }) => 0,
        Ok(_) => panic!("logged in with a wrong password"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn two_servers_count_guesses_together() {
    let mut world = World::with_postgres();
    world.start_another();
    make_user(&world, "anna", &[Role::Viewer]);
    let guess = json!({ "user": "anna", "password": "correct horse batterz" });
    let mut failures = 0;
    let wait = loop {
        // By turns, so that neither of them sees enough by itself.
        world.turn();
        let answer = try_log_in(&world, &guess);
        if answer.status == 401 {
            failures += 1;
            continue;
        }
        assert_eq!(answer.status, 429, "{}", answer.text());
        let wait = answer.headers.get("retry-after").expect("a wait");
        let wait: i64 = wait.parse().expect("seconds");
        if wait > 100 {
            break wait;
        }
        world.clock.pass(wait);
    };
    // Each one after the fifth doubles the wait: together they saw no more than one server would.
    assert!((11..=13).contains(&failures), "{failures}");
    for _ in 0..2 {
        let refused = try_log_in(&world, &json!({ "user": "anna", "password": PASSWORD }));
        assert_eq!(refused.status, 429, "{}", refused.text());
        world.turn();
    }
    // What was counted is not forgotten when a server is started again.
    world.restart();
    try_log_in(&world, &guess).expect(429);
    world.clock.pass(wait + 1);
    log_in(&world, "anna");
    world.turn();
    // And a success at one of them is known to the other.
    for _ in 0..4 {
        try_log_in(&world, &guess).expect(401);
    }
    world.turn();
    log_in(&world, "anna");
    // A refusal of a token counts for the address, at both.
    for _ in 0..40 {
        let login = json!({ "token": "updraft_0" });
        world.turn();
        if world.send_json(&world.client(None, None), Method::Post, paths::SESSION, &login).status
            == 429
        {
            return;
        }
    }
    panic!("nobody slows down who guesses tokens");
}

#[test]
fn guessing_from_everywhere_does_not_lock_the_owner_out() {
    let world = World::with_sqlite();
    make_user(&world, "anna", &[Role::Viewer]);
    let home = from(60_000);
    world.fleet().log_in(&login("anna", PASSWORD), home).expect("logged in");
    let begun = (0..400).find(|number| wait(&world, "anna", from(*number)) > 0);
    assert!(begun.is_some_and(|number| number >= 100), "{begun:?}");
    assert_eq!(wait(&world, "anna", home), 0, "from where the owner was before");
    assert!((1..=30).contains(&wait(&world, "anna", from(59_999))), "a short pause");
    world.clock.pass(31);
    assert_eq!(wait(&world, "anna", from(59_999)), 0);
}

#[test]
fn who_guesses_at_many_accounts_waits_too() {
    let world = World::with_sqlite();
    make_user(&world, "own", &[Role::Viewer]);
    for number in 0..20 {
        assert_eq!(wait(&world, &format!("user-{number}"), from(1)), 0);
    }
    // The pauses after that are 1, 2, 4, 8 seconds and so on: on a busy machine the next attempt may come
    // after the first of them, and no attempt takes as long as the fifth.
    let refused = (0..5).any(|number| wait(&world, &format!("user-x{number}"), from(1)) > 0);
    assert!(refused, "nobody slows down who guesses at many accounts");
    // An account of one's own does not help, and long afterwards all is as at first.
    let own = world.fleet().log_in(&login("own", PASSWORD), from(1));
    assert!(matches!(own, Err(Error::TooOften { .. })));
    world.clock.pass(3601 + 900);
    for number in 0..20 {
        assert_eq!(wait(&world, &format!("user-{number}"), from(1)), 0, "{number}");
    }
}
