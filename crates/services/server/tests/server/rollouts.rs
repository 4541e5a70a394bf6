//! Rollouts from creation to their end, with real devices.

mod back;
mod bandwidth;
mod rules;
mod sizes;
mod whom;

use serde_json::json;
use updraft_api::{
    Device as Shown, DeviceState, EventKind, Page, PhaseState, Rollout, RolloutDevice,
    RolloutDeviceState, RolloutState, paths,
};
use updraft_http::Method;

use crate::device::Device;
use crate::operator::{Operator, create_rollout, rollout};
use crate::world::World;

struct Lab {
    world: World,
    operator: Operator,
    devices: Vec<Device>,
}

impl Lab {
    /// Some devices that run v1, and a release v2.
    fn new(count: usize) -> Self {
        let world = World::new();
        let mut operator = Operator::new(&world);
        operator.release(&world, "v1", "one");
        let devices = (0..count).map(|n| Device::new(&world, &format!("d{n}"))).collect();
        let mut lab = Self { world, operator, devices };
        create_rollout(&lab.world, &json!({ "name": "first", "release": "v1" })).expect(201);
        rollout(&lab.world, "first");
        for device in &mut lab.devices {
            device.install(&lab.world);
        }
        assert_eq!(rollout(&lab.world, "first").state, RolloutState::Finished);
        lab.operator.release(&lab.world, "v2", "two");
        lab
    }

    fn device(&mut self, id: &str) -> &mut Device {
        self.devices.iter_mut().find(|device| device.id == id).expect("a device of the lab")
    }

    fn states(&self, name: &str) -> Vec<(String, u32, RolloutDeviceState)> {
        let path = paths::rollout_devices(name);
        let page: Page<RolloutDevice> = self.world.get(&self.world.operator(), &path).read();
        page.items.into_iter().map(|device| (device.device, device.phase, device.state)).collect()
    }

    fn install(&mut self, id: &str) {
        let world = &self.world;
        let device = self.devices.iter_mut().find(|device| device.id == id).expect("a device");
        device.install(world);
    }

    fn fail(&mut self, id: &str) {
        let world = &self.world;
        let device = self.devices.iter_mut().find(|device| device.id == id).expect("a device");
        device.fail(world);
    }

    fn post(&self, path: &str) -> crate::world::Answer {
        self.world.send(&self.world.operator(), Method::Post, path, "")
    }
}

#[test]
fn phases_advance_as_devices_report() {
    let mut lab = Lab::new(4);
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d2"] }, { "percent": 50 }, { "percent": 100 }] });
    let created: Rollout = create_rollout(&lab.world, &body).expect(201).read();
    let sizes: Vec<u32> = created.phases.iter().map(|phase| phase.counts.total).collect();
    assert_eq!(sizes, [1, 1, 2]);
    rollout(&lab.world, "second");
    // Only the first phase is told anything.
    let told: Vec<String> = lab
        .states("second")
        .into_iter()
        .filter(|(_, _, state)| *state == RolloutDeviceState::Assigned)
        .map(|(device, _, _)| device)
        .collect();
    assert_eq!(told, ["d2"]);
    lab.install("d2");
    let now = rollout(&lab.world, "second");
    assert_eq!((now.current_phase, now.phases[0].state), (1, PhaseState::Succeeded));
    let second = lab.states("second").into_iter().find(|(_, phase, _)| *phase == 1);
    lab.install(&second.expect("one device").0);
    assert_eq!(rollout(&lab.world, "second").current_phase, 2);
    let rest = lab.states("second").into_iter().filter(|(_, phase, _)| *phase == 2);
    for (device, _, _) in rest.collect::<Vec<_>>() {
        lab.install(&device);
    }
    let end = rollout(&lab.world, "second");
    assert_eq!((end.state, end.counts.succeeded), (RolloutState::Finished, 4));
    assert!(end.ended_at.is_some());
}

#[test]
fn a_failure_stops_the_rollout_and_takes_back_what_has_not_started() {
    let mut lab = Lab::new(4);
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d0", "d1"] }, { "percent": 100 }],
        "failure_threshold": { "percent": 50, "minimum": 1 } });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.fail("d0");
    let stopped = rollout(&lab.world, "second");
    assert_eq!(stopped.state, RolloutState::Stopped);
    let reason = stopped.reason.expect("a reason");
    assert!(reason.contains("1 of 2 devices of phase 1 failed"), "{reason}");
    assert_eq!(stopped.counts.cancelled, 3);
    // d1 had not begun: there is nothing for it any more, nor for the second phase.
    let world = &lab.world;
    for device in &mut lab.devices {
        assert!(device.update(world).is_none(), "{}", device.id);
    }
    let shown: Shown = world.get(&world.operator(), &paths::device("d0")).read();
    assert_eq!(shown.state, DeviceState::Failed);
    let report = shown.last_report.expect("report");
    assert_eq!((report.success, report.code.as_str()), (false, "INSTALL_FAILED"));
    assert!(report.description.contains("health check"));
}

#[test]
fn what_a_device_has_started_goes_on_after_a_stop_and_gives_way_to_a_new_rollout() {
    let mut lab = Lab::new(2);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    let world = &lab.world;
    assert!(lab.devices[0].update(world).is_some());
    let stopped: Rollout = lab.post(&paths::rollout_stop("second")).expect(200).read();
    assert_eq!(stopped.state, RolloutState::Stopped);
    assert_eq!(stopped.reason.as_deref(), Some("stopped by token:admin"));
    lab.post(&paths::rollout_stop("second")).expect(200);
    lab.post(&paths::rollout_resume("second")).expect(409);
    assert_eq!(
        lab.states("second"),
        [
            ("d0".to_owned(), 0, RolloutDeviceState::Started),
            ("d1".to_owned(), 0, RolloutDeviceState::Cancelled)
        ]
    );
    lab.operator.release(&lab.world, "v3", "three");
    create_rollout(&lab.world, &json!({ "name": "third", "release": "v3" })).expect(201);
    rollout(&lab.world, "third");
    lab.install("d0");
    lab.install("d1");
    assert_eq!(rollout(&lab.world, "third").state, RolloutState::Finished);
    assert_eq!(lab.states("second")[0].2, RolloutDeviceState::Cancelled);
}

#[test]
fn success_without_the_image_is_a_failure() {
    let mut lab = Lab::new(1);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    let old = lab.device("d0").image.clone();
    let world = &lab.world;
    let device = &mut lab.devices[0];
    let target = device.update(world).expect("assigned");
    let result = updraft_tuf::manifest::InstallationResult::ok("trust me");
    let report = crate::device::installation_report(&device.serial, &target, result);
    let manifest = device.manifest(Some(report));
    device.send_manifest(world, manifest).expect(200);
    assert_eq!(device.image, old);
    assert_eq!(rollout(world, "second").state, RolloutState::Stopped);
    assert_eq!(lab.states("second")[0].2, RolloutDeviceState::Failed);
}

#[test]
fn a_report_about_something_else_decides_nothing() {
    let mut lab = Lab::new(1);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    let world = &lab.world;
    let device = &mut lab.devices[0];
    let target = device.update(world).expect("assigned");
    let failed = updraft_tuf::manifest::InstallationResult::failed("INSTALL_FAILED", "old news");
    let mut report = crate::device::installation_report(&device.serial, &target, failed);
    report.correlation_id = "urn:here-ota:campaign:another".to_owned();
    let manifest = device.manifest(Some(report));
    device.send_manifest(world, manifest).expect(200);
    assert_eq!(lab.states("second")[0].2, RolloutDeviceState::Started);
}

#[test]
fn a_device_that_gives_no_news_fails_in_time() {
    let lab = Lab::new(1);
    let body = json!({ "name": "second", "release": "v2", "device_timeout_seconds": 3600 });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Running);
    lab.world.clock.pass(3700);
    let stopped = rollout(&lab.world, "second");
    assert_eq!((stopped.state, stopped.counts.failed), (RolloutState::Stopped, 1));
}

#[test]
fn paused_rollouts_assign_nothing() {
    let mut lab = Lab::new(2);
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d0"] }, { "percent": 100 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    lab.post(&paths::rollout_pause("second")).expect(200);
    lab.install("d0");
    assert_eq!(rollout(&lab.world, "second").current_phase, 0);
    let world = &lab.world;
    assert!(lab.devices[1].update(world).is_none());
    lab.post(&paths::rollout_resume("second")).expect(200);
    assert_eq!(rollout(&lab.world, "second").current_phase, 1);
    lab.install("d1");
    assert_eq!(rollout(&lab.world, "second").state, RolloutState::Finished);
    lab.post(&paths::rollout_pause("second")).expect(409);
}

#[test]
fn devices_that_need_nothing_fit_nothing_or_are_gone_do_not_hold_it_up() {
    let mut lab = Lab::new(2);
    // One more that has no components, and one that will be deleted.
    Device::provisioned(&lab.world, "bare");
    Device::new(&lab.world, "doomed");
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    let path = paths::device("doomed");
    lab.world.send(&lab.world.operator(), Method::Delete, &path, "").expect(204);
    lab.install("d0");
    lab.install("d1");
    let end = rollout(&lab.world, "second");
    assert_eq!((end.state, end.counts.total, end.counts.skipped), (RolloutState::Finished, 2, 2));
    // Everybody runs it now: a second one has nothing to do.
    let again = json!({ "name": "third", "release": "v2", "scope": { "devices": ["d0"] } });
    create_rollout(&lab.world, &again).expect(201);
    let end = rollout(&lab.world, "third");
    assert_eq!((end.state, end.counts.succeeded), (RolloutState::Finished, 1));
    let world = &lab.world;
    assert!(lab.devices[0].update(world).is_none());
}

#[test]
fn two_rollouts_take_turns_with_a_device() {
    let mut lab = Lab::new(1);
    lab.operator.release(&lab.world, "v3", "three");
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    create_rollout(&lab.world, &json!({ "name": "third", "release": "v3" })).expect(201);
    rollout(&lab.world, "second");
    assert_eq!(rollout(&lab.world, "third").counts.waiting, 1);
    lab.install("d0");
    rollout(&lab.world, "second");
    rollout(&lab.world, "third");
    let world = &lab.world;
    assert_eq!(lab.devices[0].update(world).expect("the other one").filepath, "v3.os");
}

#[test]
fn a_preview_changes_nothing_and_says_the_same() {
    let lab = Lab::new(4);
    let body = json!({ "name": "second", "release": "v2", "phases": [{ "percent": 50 }, { "percent": 100 }] });
    let preview: Page<RolloutDevice> = lab
        .world
        .send_json(&lab.world.operator(), Method::Post, paths::ROLLOUT_PREVIEW, &body)
        .expect(200)
        .read();
    lab.world.get(&lab.world.operator(), &paths::rollout("second")).expect(404);
    create_rollout(&lab.world, &body).expect(201);
    let mut previewed: Vec<(String, u32)> =
        preview.items.into_iter().map(|device| (device.device, device.phase)).collect();
    previewed.sort();
    let real: Vec<(String, u32)> =
        lab.states("second").into_iter().map(|(device, phase, _)| (device, phase)).collect();
    assert_eq!(previewed, real);
}

#[test]
fn senseless_rollouts_are_refused() {
    let lab = Lab::new(1);
    let check = |body: serde_json::Value, status: u16| {
        let answer = create_rollout(&lab.world, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    };
    check(json!({ "name": "x", "release": "none" }), 404);
    check(json!({ "name": "first", "release": "v2" }), 409);
    check(json!({ "name": "a/b", "release": "v2" }), 400);
    // Its address would be that of the preview.
    check(json!({ "name": "preview", "release": "v2" }), 400);
    check(json!({ "name": "x", "release": "v2", "scope": { "groups": ["none"] } }), 404);
    check(json!({ "name": "x", "release": "v2", "scope": { "devices": ["none"] } }), 404);
    check(json!({ "name": "x", "release": "v2", "phases": [{ "percent": 0 }] }), 400);
    check(json!({ "name": "x", "release": "v2", "phases": [{ "percent": 101 }] }), 400);
    check(json!({ "name": "x", "release": "v2", "phases": [{ "percent": 300 }] }), 400);
    check(json!({ "name": "x", "release": "v2", "phases": [{ "devices": ["none"] }] }), 400);
    check(json!({ "name": "x", "release": "v2", "failure_threshold": { "percent": 101 } }), 400);
    check(json!({ "name": "x", "release": "v2", "device_timeout_seconds": 0 }), 400);
    check(json!({ "name": "x", "release": "v2", "typo": 1 }), 400);
}

#[test]
fn every_step_is_an_event() {
    let mut lab = Lab::new(1);
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    rollout(&lab.world, "second");
    let page: Page<updraft_api::Event> =
        lab.world.get(&lab.world.operator(), "/api/v1/events?rollout=second").read();
    let kinds: Vec<EventKind> = page.items.into_iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::RolloutCreated,
            EventKind::DeviceAssigned,
            EventKind::AssignmentStarted,
            EventKind::AssignmentSucceeded,
            EventKind::RolloutFinished,
        ]
    );
}
