//! Clients that ask too often: they are told to wait, and nobody else is.

use updraft_http::Method;

use crate::curl::Answered;
use crate::hawkbit::Hawkbit;
use crate::world::World;

const LIMITS: &str = "[limits]\ndevice_requests_per_minute = 20\n";

fn hawkbit(limits: &str) -> Hawkbit {
    let mut world = World::stopped();
    world.configure(limits);
    world.start();
    Hawkbit::of(world)
}

/// What the first request of many is answered that is refused, and how many were not.
fn flood(mut ask: impl FnMut() -> Answered, most: usize) -> (Answered, usize) {
    for passed in 0..most {
        let answer = ask();
        if answer.status == 429 {
            return (answer, passed);
        }
    }
    panic!("{most} requests passed");
}

#[test]
fn a_device_that_asks_too_often_has_to_wait_and_the_others_have_not() {
    let hawkbit = hawkbit(LIMITS);
    let poll = |id: &'static str| hawkbit.ddi(id, "", &[]);
    let (refused, passed) = flood(|| poll("d1"), 40);
    // A whole minute's requests at once, and what has come back meanwhile.
    assert!((20..30).contains(&passed), "{passed}");
    let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(refused.json()["code"], "too_many_requests");
    poll("d2").expect(200);
    // Under its name from elsewhere: as a proxy tells it.
    hawkbit.ddi("d1", "", &["-H", "X-Forwarded-For: 192.0.2.9"]).expect(200);
    // Content is no flood.
    let content = hawkbit.ddi("d1", "/softwaremodules/1/artifacts/a.bin", &[]);
    assert_ne!(content.status, 429);
    hawkbit.world.clock.pass(60);
    poll("d1").expect(200);
}

#[test]
fn an_address_that_asks_too_often_has_to_wait_whoever_it_says_it_is() {
    let hawkbit = hawkbit("[limits]\naddress_requests_per_minute = 40\n");
    let mut number = 0;
    let from = "X-Forwarded-For: 192.0.2.9";
    let ask = || {
        number += 1;
        hawkbit.ddi(&format!("d{number}"), "", &["-H", from])
    };
    let (refused, passed) = flood(ask, 90);
    assert!((40..60).contains(&passed), "{passed}");
    assert!(refused.header("retry-after").is_some());
    hawkbit.ddi("other", "", &["-H", "X-Forwarded-For: 192.0.2.10"]).expect(200);
    // The operator's side has the same limit, and its own form. One more may have come to be allowed meanwhile.
    let ask = || hawkbit.curl("/api/v1/devices", &["-H", from]);
    let (operator, _) = flood(ask, 9);
    assert_eq!(operator.json()["code"], "too_many_requests");
    let other = &hawkbit.world;
    assert_eq!(other.send(&other.operator(), Method::Get, "/api/v1/devices", "").status, 200);
}
