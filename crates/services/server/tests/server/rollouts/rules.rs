//! When rollouts begin, how fast they go, and who has to agree.

use jiff::SignedDuration;
use serde_json::{Value, json};
use updraft_api::{Freeze, Rollout, RolloutDeviceState, RolloutState, Scope, paths};
use updraft_http::Method;

use super::Lab;
use crate::operator::{create_rollout, rollout};

/// How many devices of a rollout are in a state.
fn count(lab: &Lab, name: &str, state: RolloutDeviceState) -> usize {
    rollout(&lab.world, name);
    lab.states(name).into_iter().filter(|(_, _, one)| *one == state).count()
}

#[test]
fn a_scheduled_rollout_begins_at_its_time() {
    let lab = Lab::new(1);
    let start = lab.world.environment().now() + SignedDuration::from_hours(1);
    let body = json!({ "name": "second", "release": "v2", "starts_at": start.to_string() });
    let created: Rollout = create_rollout(&lab.world, &body).expect(201).read();
    assert_eq!((created.state, created.begun_at), (RolloutState::Scheduled, None));
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Scheduled);
    lab.world.clock.pass(3601);
    let begun = rollout(&lab.world, "second");
    assert_eq!((begun.state, begun.counts.assigned), (RolloutState::Running, 1));
    assert!(begun.begun_at.is_some());
}

#[test]
fn a_rollout_may_wait_to_be_started() {
    let lab = Lab::new(1);
    let body = json!({ "name": "second", "release": "v2", "manual_start": true });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Ready);
    lab.post(&paths::rollout_pause("second")).expect(409);
    lab.post(&paths::rollout_verb("second", "start")).expect(200);
    lab.post(&paths::rollout_verb("second", "start")).expect(200);
    assert_eq!(rollout(&lab.world, "second").counts.assigned, 1);
}

#[test]
fn a_second_person_has_to_approve() {
    let lab = Lab::new(1);
    let body = json!({ "name": "second", "release": "v2", "needs_approval": true });
    let created: Rollout = create_rollout(&lab.world, &body).expect(201).read();
    assert_eq!(created.state, RolloutState::WaitingForApproval);
    assert_eq!(created.created_by, "token:admin");
    let decide = |token: &str, verb: &str, body: &Value| {
        let client = lab.world.client(None, Some(token));
        lab.world.send_json(&client, Method::Post, &paths::rollout_verb("second", verb), body)
    };
    let own = decide(&lab.world.token, "approve", &json!({})).expect(403);
    assert!(own.text().contains("somebody else"), "{}", own.text());
    decide(&lab.world.token, "deny", &json!({})).expect(403);
    let reader = lab.world.make_token("reader", Scope::Read);
    decide(&reader, "approve", &json!({})).expect(403);
    lab.post(&paths::rollout_verb("second", "start")).expect(409);
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::WaitingForApproval);
    let other = lab.world.make_token("other", Scope::Approve);
    let remark = json!({ "remark": "seen in the lab" });
    let approved: Rollout = decide(&other, "approve", &remark).expect(200).read();
    assert_eq!(approved.state, RolloutState::Running);
    let decision = approved.decision.expect("a decision");
    assert_eq!((decision.approved, decision.by.as_str()), (true, "token:other"));
    decide(&other, "approve", &remark).expect(200);
    decide(&other, "deny", &remark).expect(409);
    assert_eq!(rollout(&lab.world, "second").counts.assigned, 1);

    let body = json!({ "name": "third", "release": "v2", "needs_approval": true });
    create_rollout(&lab.world, &body).expect(201);
    let client = lab.world.client(None, Some(&other));
    let path = paths::rollout_verb("third", "deny");
    let denied: Rollout =
        lab.world.send_json(&client, Method::Post, &path, &json!({})).expect(200).read();
    assert_eq!(denied.state, RolloutState::Denied);
    assert_eq!(rollout(&lab.world, "third").counts.waiting, 1);
    lab.post(&paths::rollout_verb("third", "rollback")).expect(409);
}

#[test]
fn rate_and_number_of_active_devices_are_limited() {
    let mut lab = Lab::new(5);
    let body = json!({ "name": "second", "release": "v2", "rate": { "per_minute": 2 },
        "max_active": 3 });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 2);
    lab.world.clock.pass(61);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 3);
    let first = lab.states("second").remove(0).0;
    lab.install(&first);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 3);
    lab.world.clock.pass(61);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 3);
}

#[test]
fn nothing_is_told_outside_of_a_window_nor_in_a_freeze() {
    let mut lab = Lab::new(2);
    let now = jiff::tz::TimeZone::UTC.to_datetime(lab.world.environment().now());
    let open = now.checked_add(SignedDuration::from_hours(2)).expect("in range");
    let window = json!([{ "start": open.strftime("%H:00").to_string(), "duration_seconds": 3600 }]);
    let body = json!({ "name": "second", "release": "v2", "windows": window });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Waiting), 2);
    let into = 7200 - i64::from(now.minute()) * 60 - i64::from(now.second()) + 60;
    lab.world.clock.pass(into);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 2);
    let world = &lab.world;
    assert!(lab.devices[0].update(world).is_some());
    // The window closes: what was fetched goes on, the rest waits for the next night.
    lab.world.clock.pass(3600);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Waiting), 1);
    let world = &lab.world;
    assert!(lab.devices[1].update(world).is_none());
    lab.install("d0");
    lab.world.clock.pass(23 * 3600);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 1);
    let now = lab.world.environment().now();
    let freeze = json!({ "starts_at": now.to_string(), "reason": "holidays",
        "ends_at": (now + SignedDuration::from_hours(30)).to_string() });
    let put = |body: &Value| {
        let path = paths::freeze("holidays");
        lab.world.send_json(&lab.world.operator(), Method::Put, &path, body)
    };
    let made: Freeze = put(&freeze).expect(200).read();
    assert_eq!(made.created_by, "token:admin");
    assert_eq!(count(&lab, "second", RolloutDeviceState::Waiting), 1);
    put(&json!({ "starts_at": now.to_string(), "ends_at": now.to_string() })).expect(400);
    put(&json!({ "groups": ["none"], "starts_at": now.to_string(), "ends_at": "2100-01-01T00:00:00Z" }))
        .expect(404);
    let path = paths::freeze("holidays");
    lab.world.send(&lab.world.operator(), Method::Delete, &path, "").expect(204);
    lab.world.send(&lab.world.operator(), Method::Delete, &path, "").expect(404);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 1);
}

#[test]
fn a_window_opens_in_the_time_zone_that_a_device_of_uptane_reports() {
    let lab = Lab::new(3);
    let say = |number: usize, info: &Value| {
        let client = lab.devices[number].client(&lab.world);
        lab.world.send_json(&client, Method::Put, "/system_info", info).expect(200);
    };
    say(0, &json!({ "id": "d0", "class": "system", "time_zone": "Asia/Tokyo" }));
    say(1, &json!({ "time_zone": "Mars/Base" }));
    // It is open now in Japan, which is nine hours ahead all year.
    let now = lab.world.environment().now() + SignedDuration::from_hours(9);
    let start = jiff::tz::TimeZone::UTC.to_datetime(now).strftime("%H:00").to_string();
    let windows = json!([{ "start": start, "duration_seconds": 3600 }]);
    let body = json!({ "name": "second", "release": "v2", "windows": windows });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    let states = || lab.states("second").into_iter().map(|(_, _, state)| state);
    let (told, waits) = (RolloutDeviceState::Assigned, RolloutDeviceState::Waiting);
    assert_eq!(states().collect::<Vec<_>>(), [told, waits, waits]);
    // One that has moved there is told as well; who says nothing any more waits as before.
    say(1, &json!({ "time_zone": "Asia/Tokyo" }));
    say(0, &json!({}));
    lab.world.clock.pass(1);
    rollout(&lab.world, "second");
    assert_eq!(states().collect::<Vec<_>>(), [waits, told, waits]);
}

#[test]
fn a_freeze_may_be_about_some_groups() {
    let lab = Lab::new(2);
    let group = json!({ "name": "plant", "devices": ["d1"] });
    lab.world.send_json(&lab.world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    let now = lab.world.environment().now();
    let freeze = json!({ "groups": ["plant"], "starts_at": now.to_string(),
        "ends_at": (now + SignedDuration::from_hours(1)).to_string() });
    let path = paths::freeze("audit");
    lab.world.send_json(&lab.world.operator(), Method::Put, &path, &freeze).expect(200);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    let states: Vec<RolloutDeviceState> =
        lab.states("second").into_iter().map(|(_, _, state)| state).collect();
    assert_eq!(states, [RolloutDeviceState::Assigned, RolloutDeviceState::Waiting]);
    lab.world.clock.pass(3601);
    assert_eq!(count(&lab, "second", RolloutDeviceState::Assigned), 2);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let lab = Lab::new(1);
    for wrong in [
        json!({ "rate": { "per_minute": 0 } }),
        json!({ "rate": { "exponential":
            { "start": 1, "factor_percent": 0, "interval_seconds": 60 } } }),
        json!({ "rate": { "exponential":
            { "start": 1, "factor_percent": 200, "interval_seconds": 0 } } }),
        json!({ "max_active": 0 }),
        json!({ "max_bytes_per_second": 999 }),
        json!({ "max_attempts": 0 }),
        json!({ "max_attempts": 101 }),
        json!({ "soak_seconds": 999_999_999_999_u64 }),
        json!({ "windows": [{ "start": "2:00", "duration_seconds": 60 }] }),
        json!({ "windows": [{ "start": "24:00", "duration_seconds": 60 }] }),
        json!({ "windows": [{ "start": "02:00", "duration_seconds": 1 }] }),
        json!({ "windows": [{ "start": "02:00", "duration_seconds": 60, "days": ["someday"] }] }),
        json!({ "time_zone": "Mars/Base" }),
        json!({ "phases": [{}] }),
        json!({ "phases": [{ "percent": 10, "group": "x" }] }),
        json!({ "phases": [{ "percent": 100, "success_threshold": { "percent": 101 } }] }),
        json!({ "on_failure": "explode" }),
    ] {
        let mut body = json!({ "name": "x", "release": "v2" });
        for (key, value) in wrong.as_object().expect("an object") {
            body[key] = value.clone();
        }
        let answer = create_rollout(&lab.world, &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let body = json!({ "name": "x", "release": "v2", "rollback_release": "none" });
    create_rollout(&lab.world, &body).expect(404);
}
