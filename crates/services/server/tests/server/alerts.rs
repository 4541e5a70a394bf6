//! Rules for alarms, and the alarms.

use serde_json::{Value, json};
use updraft_api::{Alert, AlertRule, EventKind, Page, Scope, paths};
use updraft_http::Method;

use crate::device::Device;
use crate::operator::{Operator, create_rollout};
use crate::world::{Answer, World};

const MONITORING: &str = "/monitoring/updraft";

fn put_rule(world: &World, rule: &Value) -> Answer {
    let path = paths::alert_rule(rule["name"].as_str().unwrap_or_default());
    world.send_json(&world.operator(), Method::Put, &path, rule)
}

/// What the server does by itself every few seconds.
fn look(world: &World) {
    world.fleet().flush().expect("written");
    world.fleet().look_for_alerts().expect("looked");
}

fn alerts(world: &World, query: &str) -> Vec<Alert> {
    let page: Page<Alert> =
        world.get(&world.operator(), &format!("{}{query}", paths::ALERTS)).read();
    page.items
}

fn told(world: &World, kind: EventKind) -> Vec<String> {
    let path = format!("{}?limit=1000", paths::EVENTS);
    let page: Page<updraft_api::Event> = world.get(&world.operator(), &path).read();
    page.items.into_iter().filter(|event| event.kind == kind).map(|event| event.message).collect()
}

#[test]
fn a_metric_that_is_too_low_for_too_long_raises_an_alarm_until_it_is_not() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let other = Device::new(&world, "vehicle-2");
    let measure = |device: &Device, free: u64| {
        let metrics = json!({ "memory": { "free": free } });
        world.send_json(&device.client(&world), Method::Post, MONITORING, &metrics).expect(200);
    };
    let rule = json!({
        "name": "low-memory", "severity": "critical", "for_seconds": 60, "groups": ["field"],
        "condition": { "metric": { "name": "memory.free", "below": 100.0 } },
    });
    put_rule(&world, &rule).expect(404);
    let group = json!({ "name": "field", "devices": ["vehicle-1"] });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    put_rule(&world, &rule).expect(201);
    put_rule(&world, &rule).expect(200);

    measure(&device, 50);
    measure(&other, 50);
    look(&world);
    assert_eq!(alerts(&world, ""), []);
    world.clock.pass(61);
    // The server looks by itself, too: both together raise one alarm.
    look(&world);
    look(&world);
    let found = alerts(&world, "");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].device.as_str(), found[0].rule.as_str()), ("vehicle-1", "low-memory"));
    assert_eq!(found[0].message, "memory.free is 50, below 100");
    assert!(found[0].fired_at.duration_since(found[0].since).as_secs() >= 60);
    assert_eq!(
        told(&world, EventKind::AlertFired),
        ["low-memory: vehicle-1: memory.free is 50, below 100"]
    );

    // Somebody knows of it; the first one stays.
    let path = paths::alert_acknowledge(found[0].id);
    let reader = world.client(None, Some(&world.make_token("reader", Scope::Read)));
    world.send(&reader, Method::Post, &path, "").expect(403);
    let known: Alert = world.send(&world.operator(), Method::Post, &path, "").expect(200).read();
    assert_eq!(known.acknowledged_by.as_deref(), Some("token:admin"));
    let second = world.client(None, Some(&world.make_token("second", Scope::Operate)));
    let known: Alert = world.send(&second, Method::Post, &path, "").expect(200).read();
    assert_eq!(known.acknowledged_by.as_deref(), Some("token:admin"));
    world.send(&second, Method::Post, &paths::alert_acknowledge(99), "").expect(404);

    measure(&device, 500);
    look(&world);
    assert_eq!(alerts(&world, ""), []);
    let over = alerts(&world, "?resolved=true&device=vehicle-1");
    assert!(over.len() == 1 && over[0].resolved_at.is_some(), "{over:?}");
    assert_eq!(told(&world, EventKind::AlertResolved), ["low-memory: vehicle-1: is over"]);
    // One that does not hold for long enough leaves nothing.
    measure(&device, 50);
    look(&world);
    measure(&device, 500);
    look(&world);
    assert_eq!(alerts(&world, "?resolved=true").len(), 1);
    // With the rule go its alarms.
    let path = paths::alert_rule("low-memory");
    world.send(&world.operator(), Method::Delete, &path, "").expect(204);
    world.send(&world.operator(), Method::Delete, &path, "").expect(404);
    assert_eq!(alerts(&world, "?resolved=true"), []);
}

#[test]
fn devices_that_are_silent_and_those_that_failed_raise_alarms() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.release(&world, "v1", "one");
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    put_rule(&world, &json!({ "name": "silent", "condition": { "silent": { "seconds": 3600 } } }))
        .expect(201);
    put_rule(&world, &json!({ "name": "failed", "condition": "failed" })).expect(201);
    let rules: Vec<AlertRule> = world.get(&world.operator(), paths::ALERT_RULES).read();
    assert_eq!(rules.len(), 2);
    look(&world);
    assert_eq!(alerts(&world, ""), []);
    world.clock.pass(3601);
    look(&world);
    let of = |world: &World| -> Vec<String> {
        alerts(world, "").into_iter().map(|alert| alert.rule).collect()
    };
    assert_eq!(of(&world), ["silent"]);
    device.report(&world).expect(200);
    look(&world);
    assert_eq!(of(&world), [""; 0]);

    create_rollout(&world, &json!({ "name": "r1", "release": "v1" })).expect(201);
    world.fleet().reconcile().expect("planned");
    device.fail(&world);
    look(&world);
    assert_eq!(of(&world), ["failed"]);
    assert_eq!(alerts(&world, "")[0].message, "its last assignment failed, in rollout r1");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let world = World::new();
    let metric = |metric: Value| json!({ "name": "r", "condition": { "metric": metric } });
    for rule in [
        metric(json!({ "name": "a" })),
        metric(json!({ "name": "", "above": 1.0 })),
        metric(json!({ "name": "x".repeat(129), "above": 1.0 })),
        json!({ "name": "r", "condition": { "silent": { "seconds": 0 } } }),
        json!({ "name": "r", "condition": "unknown" }),
        json!({ "name": "r", "condition": "failed", "for": 3 }),
        json!({ "name": "r" }),
    ] {
        let answer =
            world.send_json(&world.operator(), Method::Put, &paths::alert_rule("r"), &rule);
        assert_eq!(answer.status, 400, "{rule}");
    }
    let other = json!({ "name": "other", "condition": "failed" });
    world.send_json(&world.operator(), Method::Put, &paths::alert_rule("r"), &other).expect(400);
    world.get(&world.operator(), &paths::alert_rule("r")).expect(404);
    world.get(&world.client(None, None), paths::ALERTS).expect(401);
}
