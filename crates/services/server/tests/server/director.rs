//! What each device is told to run, verified as a device verifies it.

use serde_json::json;
use updraft_api::{Device as Shown, DeviceState, paths};
use updraft_http::{Method, Request};

use crate::device::Device;
use crate::operator::{Operator, create_rollout, everybody, rollout};
use crate::world::{World, ask};

#[test]
fn without_an_assignment_the_targets_are_empty_and_name_the_vehicle() {
    let world = World::new();
    let mut first = Device::new(&world, "vehicle-1");
    let second = Device::new(&world, "vehicle-2");
    assert!(first.update(&world).is_none());
    let targets = |device: &Device| {
        world.get(&device.client(&world), "/director/targets.json").expect(200).json()
    };
    assert_eq!(targets(&first)["signed"]["targets"], json!({}));
    assert_eq!(targets(&first)["signed"]["custom"]["vehicleId"], "vehicle-1");
    assert_eq!(targets(&second)["signed"]["custom"]["vehicleId"], "vehicle-2");
}

#[test]
fn an_assignment_reaches_its_device_only_and_ends_when_it_is_booted() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    let release = operator.release(&world, "v1", "one");
    let mut chosen = Device::new(&world, "vehicle-1");
    let mut other = Device::new(&world, "vehicle-2");
    let body = json!({ "name": "r1", "release": "v1", "scope": { "devices": ["vehicle-1"] } });
    create_rollout(&world, &body).expect(201);
    rollout(&world, "r1");

    let show = || -> Shown { world.get(&world.operator(), &paths::device("vehicle-1")).read() };
    assert_eq!(show().state, DeviceState::Assigned);
    assert!(other.update(&world).is_none());
    let target = chosen.update(&world).expect("assigned");
    assert_eq!(target.filepath, "v1.os");
    assert_eq!(target.hashes.sha256(), Some(release.targets[0].sha256.as_str()));
    assert_eq!(show().state, DeviceState::Updating);
    let correlation = show().assignment.expect("assignment").correlation_id;
    assert_eq!(target.correlation_id.as_ref(), Some(&correlation));

    // Fetched is not installed, and neither is an old image reported again.
    chosen.report(&world).expect(200);
    assert_eq!(show().state, DeviceState::Updating);
    chosen.install(&world);
    let shown = show();
    assert_eq!(shown.state, DeviceState::Idle);
    assert!(shown.assignment.is_none());
    assert_eq!(shown.last_report.expect("report").correlation_id, correlation);
    let installed = shown.components[0].installed.clone().expect("installed");
    assert_eq!(installed.release.as_deref(), Some("v1"));
    assert!(chosen.update(&world).is_none());
}

#[test]
fn metadata_is_signed_again_before_it_expires_and_never_otherwise() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    let version = |file: &str| {
        let path = format!("/director/{file}.json");
        let file = world.get(&device.client(&world), &path).expect(200).json();
        file["signed"]["version"].as_u64().expect("version")
    };
    assert_eq!((version("targets"), version("timestamp")), (1, 1));
    world.clock.pass(3 * 24 * 3600);
    assert_eq!((version("targets"), version("timestamp")), (1, 1));
    world.clock.pass(24 * 3600);
    assert_eq!((version("timestamp"), version("snapshot"), version("targets")), (2, 2, 2));
    // A device that was away for months finds fresh files.
    world.clock.pass(120 * 24 * 3600);
    assert!(device.update(&world).is_none());
}

#[test]
fn the_directors_root_is_rotated_before_it_expires() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    assert!(device.update(&world).is_none());
    world.fleet().renew_director_root().expect("nothing to do");
    world.get(&device.client(&world), "/director/2.root.json").expect(404);
    world.clock.pass(3600 * 24 * 3600);
    world.fleet().renew_director_root().expect("renewed");
    world.get(&device.client(&world), "/director/2.root.json").expect(200);
    assert!(device.update(&world).is_none());
}

#[test]
fn unchanged_metadata_is_not_sent_again() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    for path in ["/director/targets.json", "/director/1.root.json", "/director/root.json"] {
        let first = world.get(&client, path).expect(200);
        let etag = first.headers.get("etag").expect("entity tag").to_owned();
        let again =
            Request::new(Method::Get, world.url(path)).header("If-None-Match", etag.clone());
        let second = ask(&client, again).expect(304);
        assert!(second.body.is_empty());
        // Of the content that is not sent, or not at all (RFC 9110, 8.6).
        let told = second.headers.get("content-length").map(str::to_owned);
        assert!(told.is_none_or(|told| told == first.body.len().to_string()), "{path}");
        let other = Request::new(Method::Get, world.url(path)).header("If-None-Match", "\"x\"");
        ask(&client, other).expect(200);
    }
    let cache = |path| {
        let answer = world.get(&client, path).expect(200);
        answer.headers.get("cache-control").expect("header").to_owned()
    };
    assert!(cache("/director/1.root.json").contains("immutable"));
    assert!(cache("/director/targets.json").contains("no-cache"));
}

#[test]
fn names_that_are_not_metadata_do_not_exist() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    for path in [
        "/director/0.root.json",
        "/director/01.root.json",
        "/director/+1.root.json",
        "/director/2.root.json",
        "/director/99.targets.json",
        "/director/x.root.json",
        "/director/other.json",
        "/director/root",
        "/director/..%2Fupdraft.db",
        "/director/%2e%2e%2fserver.toml",
        "/repo/..%2f..%2fserver.toml",
        "/repo/root.json",
        "/repo/delegations/..%2f..%2fserver.toml",
        "/repo/targets/..%2f..%2fserver.toml",
        "/repo/targets//etc/passwd",
    ] {
        world.get(&client, path).expect(404);
    }
}

#[test]
fn what_no_route_takes_is_refused_in_the_gateways_own_words() {
    let world = World::new();
    let client = Device::new(&world, "vehicle-1").client(&world);
    assert_eq!(world.get(&client, "/nothing").expect(404).code(), "missing_entity");
    for path in ["/director/%ff.json", "/repo/%ff.json", "/treehub/%ff"] {
        assert_eq!(world.get(&client, path).expect(400).code(), "invalid_entity", "{path}");
    }
    let wrong = world.send(&client, Method::Delete, "/director/targets.json", "").expect(405);
    assert_eq!(wrong.code(), "method_not_allowed");
    let allowed = wrong.headers.get("allow").expect("the methods that go");
    assert!(allowed.contains("GET"), "{allowed}");
}

#[test]
fn an_assignment_survives_a_restart() {
    let mut world = World::new();
    let mut operator = Operator::new(&world);
    operator.release(&world, "v1", "one");
    let mut device = Device::new(&world, "vehicle-1");
    let new = everybody("r1", "v1");
    world.send_json(&world.operator(), Method::Post, paths::ROLLOUTS, &new).expect(201);
    rollout(&world, "r1");
    let before = device.update(&world).expect("assigned").correlation_id.clone();
    world.restart();
    let after = device.update(&world).expect("assigned").correlation_id.clone();
    assert_eq!(before, after);
    device.install(&world);
    world.restart();
    assert_eq!(rollout(&world, "r1").state, updraft_api::RolloutState::Finished);
}
