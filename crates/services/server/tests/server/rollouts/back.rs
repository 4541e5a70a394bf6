//! Rollouts that fail and are taken back, retried, or paused.

use serde_json::json;
use updraft_api::{
    Device as Shown, DeviceState, EventKind, Page, Rollout, RolloutDevice, RolloutDeviceState,
    RolloutState, paths,
};
use updraft_http::Method;

use super::Lab;
use crate::operator::{create_rollout, rollout};

fn state(lab: &Lab, rollout: &str, device: &str) -> RolloutDevice {
    let path = paths::rollout_devices(rollout);
    let page: Page<RolloutDevice> = lab.world.get(&lab.world.operator(), &path).read();
    page.items.into_iter().find(|one| one.device == device).expect("in the rollout")
}

#[test]
fn devices_get_back_what_they_had_when_too_many_fail() {
    let mut lab = Lab::new(4);
    let body = json!({ "name": "second", "release": "v2", "on_failure": "rollback",
        "phases": [{ "devices": ["d0", "d1", "d2"] }, { "percent": 100 }],
        "failure_threshold": { "percent": 30 } });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    let world = &lab.world;
    // d1 has fetched what it is to do, and not done it.
    assert!(lab.devices[1].update(world).is_some());
    lab.fail("d2");
    let back = rollout(&lab.world, "second");
    assert_eq!(back.state, RolloutState::RollingBack);
    assert_eq!((back.counts.rolling_back, back.counts.cancelled, back.counts.failed), (2, 1, 1));
    // d1 still runs what it is to go back to, which says nothing before it has heard of it.
    let world = &lab.world;
    lab.devices[1].report(world).expect(200);
    assert_eq!(state(&lab, "second", "d1").state, RolloutDeviceState::RollingBack);
    let world = &lab.world;
    // The Director tells it what it runs already: nothing is to be done, and it says so.
    lab.devices[1].update(world);
    lab.devices[1].report(world).expect(200);
    assert_eq!(state(&lab, "second", "d1").state, RolloutDeviceState::RolledBack);
    let shown: Shown = lab.world.get(&lab.world.operator(), &paths::device("d0")).read();
    assert_eq!(shown.state, DeviceState::Assigned);
    let world = &lab.world;
    let target = lab.devices[0].install(world);
    assert_eq!(target.filepath, "v1.os");
    let end = rollout(&lab.world, "second");
    assert_eq!((end.state, end.counts.rolled_back), (RolloutState::RolledBack, 2));
    assert!(end.reason.expect("a reason").contains("1 of 3 devices of phase 1 failed"));
    // d2 fell back by itself.
    assert_eq!(state(&lab, "second", "d2").state, RolloutDeviceState::Failed);
    let events: Page<updraft_api::Event> =
        lab.world.get(&lab.world.operator(), "/api/v1/events?rollout=second").read();
    let count = |kind| events.items.iter().filter(|event| event.kind == kind).count();
    assert_eq!(count(EventKind::RolloutRollingBack), 1);
    assert_eq!(count(EventKind::AssignmentRolledBack), 2);
    assert_eq!(count(EventKind::RolloutRolledBack), 1);
}

#[test]
fn a_person_takes_a_finished_release_back() {
    let mut lab = Lab::new(2);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    lab.install("d1");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Finished);
    let path = paths::rollout_verb("second", "rollback");
    let back: Rollout = lab.post(&path).expect(200).read();
    assert_eq!(back.reason.as_deref(), Some("rolled back by token:admin"));
    lab.post(&path).expect(200);
    rollout(&lab.world, "second");
    lab.install("d0");
    lab.fail("d1");
    let end = rollout(&lab.world, "second");
    assert_eq!(end.state, RolloutState::RolledBack);
    assert_eq!((end.counts.rolled_back, end.counts.rollback_failed), (1, 1));
    lab.post(&path).expect(409);
    lab.post(&paths::rollout_resume("second")).expect(409);
}

#[test]
fn who_came_with_the_release_gets_the_one_that_is_named() {
    // Nobody knows what these ran before their first update: it came from the factory.
    let mut lab = Lab::new(2);
    let path = paths::rollout_verb("first", "rollback");
    lab.post(&path).expect(200);
    let end = rollout(&lab.world, "first");
    assert_eq!((end.state, end.counts.rollback_failed), (RolloutState::RolledBack, 2));
    let reason = state(&lab, "first", "d0").reason.expect("a reason");
    assert!(reason.contains("not known"), "{reason}");
    lab.operator.release(&lab.world, "v3", "three");
    crate::device::Device::new(&lab.world, "fresh");
    let body = json!({ "name": "named", "release": "v2", "rollback_release": "v3",
        "scope": { "devices": ["fresh"] } });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "named");
    lab.devices.push(crate::device::Device::new(&lab.world, "fresh2"));
    let world = &lab.world;
    let body = json!({ "name": "named2", "release": "v2", "rollback_release": "v3",
        "scope": { "devices": ["fresh2"] } });
    create_rollout(world, &body).expect(201);
    rollout(world, "named2");
    lab.install("fresh2");
    assert_eq!(rollout(&lab.world, "named2").state, RolloutState::Finished);
    lab.post(&paths::rollout_verb("named2", "rollback")).expect(200);
    rollout(&lab.world, "named2");
    let world = &lab.world;
    let device = lab.devices.iter_mut().find(|one| one.id == "fresh2").expect("there");
    assert_eq!(device.install(world).filepath, "v3.os");
    assert_eq!(rollout(world, "named2").state, RolloutState::RolledBack);
}

#[test]
fn a_device_has_as_many_attempts_as_it_is_given() {
    let mut lab = Lab::new(1);
    let body = json!({ "name": "second", "release": "v2", "max_attempts": 2 });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.fail("d0");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Running);
    let again = state(&lab, "second", "d0");
    assert_eq!((again.state, again.attempts), (RolloutDeviceState::Assigned, 2));
    lab.fail("d0");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Stopped);
    // A person gives it more, and the rollout goes on.
    let path = paths::rollout_verb("second", "retry");
    let retried: Rollout = lab.post(&path).expect(200).read();
    assert_eq!((retried.state, retried.ended_at), (RolloutState::Running, None));
    rollout(&lab.world, "second");
    lab.install("d0");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Finished);
    lab.post(&path).expect(409);
}

#[test]
fn a_rollout_pauses_and_a_person_lets_the_failures_go() {
    let mut lab = Lab::new(3);
    let body = json!({ "name": "second", "release": "v2", "on_failure": "pause",
        "phases": [{ "devices": ["d0", "d1"] }, { "percent": 100 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.fail("d0");
    let paused = rollout(&lab.world, "second");
    assert_eq!(paused.state, RolloutState::Paused);
    assert!(paused.reason.expect("a reason").contains("1 of 2 devices of phase 1 failed"));
    lab.install("d1");
    lab.post(&paths::rollout_resume("second")).expect(200);
    let on = rollout(&lab.world, "second");
    assert_eq!((on.current_phase, on.phases[0].accepted_failures), (1, 1));
    lab.fail("d2");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Paused);
}

#[test]
fn a_device_that_falls_back_while_its_phase_soaks_counts_as_failed() {
    let mut lab = Lab::new(2);
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d0"], "soak_seconds": 3600 }, { "percent": 100 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    let old = lab.device("d0").image.clone();
    lab.install("d0");
    let soaking = rollout(&lab.world, "second");
    assert!(soaking.phases[0].soaking_since.is_some());
    assert_eq!(soaking.current_phase, 0);
    // Its watchdog gives up on the new release an hour later, and it runs the old one again.
    lab.device("d0").image = old;
    let world = &lab.world;
    lab.devices[0].report(world).expect(200);
    let stopped = rollout(&lab.world, "second");
    assert_eq!((stopped.state, stopped.counts.unhealthy), (RolloutState::Stopped, 1));
    assert_eq!(stopped.counts.succeeded, 1);
}

#[test]
fn a_phase_soaks_before_the_next_begins() {
    let mut lab = Lab::new(2);
    let body = json!({ "name": "second", "release": "v2", "soak_seconds": 600,
        "phases": [{ "devices": ["d0"] }, { "percent": 100, "soak_seconds": 0 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    assert_eq!(rollout(&lab.world, "second").current_phase, 0);
    lab.world.clock.pass(601);
    assert_eq!(rollout(&lab.world, "second").current_phase, 1);
    lab.install("d1");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Finished);
}

#[test]
fn an_alarm_since_the_update_counts_as_a_failure_until_somebody_knows_of_it() {
    let mut lab = Lab::new(3);
    let measure = |lab: &Lab, id: &str, free: u64| {
        let metrics = json!({ "memory": { "free": free } });
        let device = lab.devices.iter().find(|device| device.id == id).expect("a device");
        let client = device.client(&lab.world);
        lab.world.send_json(&client, Method::Post, "/monitoring/updraft", &metrics).expect(200);
        lab.world.fleet().flush().expect("written");
        lab.world.fleet().look_for_alerts().expect("looked");
    };
    let rule = json!({ "name": "low-memory", "severity": "warning", "for_seconds": 0,
        "condition": { "metric": { "name": "memory.free", "below": 100.0 } } });
    let path = paths::alert_rule("low-memory");
    lab.world.send_json(&lab.world.operator(), Method::Put, &path, &rule).expect(201);
    // What was the matter before is not the release's fault.
    measure(&lab, "d0", 50);
    lab.world.clock.pass(60);
    let body = json!({ "name": "second", "release": "v2", "on_failure": "pause",
        "phases": [{ "devices": ["d0", "d1"], "soak_seconds": 3600 }, { "percent": 100 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    lab.install("d1");
    let soaking = rollout(&lab.world, "second");
    assert_eq!((soaking.state, soaking.counts.unhealthy), (RolloutState::Running, 0));
    lab.world.clock.pass(60);
    measure(&lab, "d1", 50);
    let paused = rollout(&lab.world, "second");
    assert_eq!((paused.state, paused.counts.unhealthy), (RolloutState::Paused, 1));
    // Somebody says that it is known.
    let alerts =
        lab.world.get(&lab.world.operator(), &format!("{}?device=d1", paths::ALERTS)).json();
    let id = alerts["items"][0]["id"].as_u64().expect("an alarm");
    lab.post(&paths::alert_acknowledge(id)).expect(200);
    lab.post(&paths::rollout_resume("second")).expect(200);
    lab.world.clock.pass(3601);
    let on = rollout(&lab.world, "second");
    assert_eq!((on.current_phase, on.counts.unhealthy), (1, 0));
}
