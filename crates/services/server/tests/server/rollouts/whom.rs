//! Which devices a rollout takes: pins, releases that come first, newer rollouts, and what a preview
//! says of all that.

use serde_json::json;
use updraft_api::{
    Device as Shown, Page, RolloutDevice, RolloutDeviceState, RolloutPreview, RolloutState, paths,
};
use updraft_http::Method;

use super::Lab;
use crate::operator::{create_rollout, new_release, rollout};

fn pin(lab: &Lab, id: &str) {
    let path = paths::device_pin(id);
    let body = json!({ "reason": "a customer's demonstration" });
    let shown: Shown =
        lab.world.send_json(&lab.world.operator(), Method::Put, &path, &body).expect(200).read();
    assert_eq!(shown.pinned.expect("pinned").by, "token:admin");
}

#[test]
fn a_pinned_device_takes_no_rollout() {
    let mut lab = Lab::new(2);
    pin(&lab, "d1");
    create_rollout(&lab.world, &json!({ "name": "second", "release": "v2" })).expect(201);
    rollout(&lab.world, "second");
    lab.install("d0");
    let end = rollout(&lab.world, "second");
    assert_eq!((end.state, end.counts.skipped), (RolloutState::Finished, 1));
    let path = paths::device_pin("d1");
    lab.world.send(&lab.world.operator(), Method::Delete, &path, "").expect(200);
    lab.world.send(&lab.world.operator(), Method::Delete, &path, "").expect(200);
    create_rollout(&lab.world, &json!({ "name": "third", "release": "v2" })).expect(201);
    rollout(&lab.world, "third");
    lab.install("d1");
    assert_eq!(rollout(&lab.world, "third").state, RolloutState::Finished);
    let path = paths::device_pin("none");
    lab.world.send_json(&lab.world.operator(), Method::Put, &path, &json!({})).expect(404);
}

#[test]
fn a_device_runs_first_what_has_to_come_first() {
    let mut lab = Lab::new(2);
    let v3 = lab.operator.release(&lab.world, "v3", "three");
    let target = &v3.targets[0];
    let mut new = new_release("v3-after-v2", &target.filepath, &target.sha256);
    new.requires = Some("v2".into());
    let post = |new: &updraft_api::NewRelease| {
        lab.world.send_json(&lab.world.operator(), Method::Post, paths::RELEASES, new)
    };
    post(&new).expect(201);
    new.name = "x".into();
    new.requires = Some("none".into());
    post(&new).expect(404);
    create_rollout(&lab.world, &json!({ "name": "jump", "release": "v3-after-v2" })).expect(201);
    rollout(&lab.world, "jump");
    let path = paths::rollout_devices("jump");
    let page: Page<RolloutDevice> = lab.world.get(&lab.world.operator(), &path).read();
    assert_eq!(page.items[0].via.as_deref(), Some("v2"));
    let world = &lab.world;
    assert_eq!(lab.devices[0].install(world).filepath, "v2.os");
    let half = rollout(world, "jump");
    assert_eq!((half.state, half.counts.succeeded), (RolloutState::Running, 0));
    assert_eq!(lab.devices[0].install(world).filepath, "v3.os");
    lab.devices[1].install(world);
    rollout(world, "jump");
    lab.devices[1].install(world);
    let end = rollout(world, "jump");
    assert_eq!((end.state, end.counts.succeeded), (RolloutState::Finished, 2));
}

#[test]
fn a_newer_rollout_takes_devices_over_that_have_not_started() {
    let mut lab = Lab::new(3);
    lab.operator.release(&lab.world, "v3", "three");
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d0", "d1"] }, { "percent": 100 }] });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "second");
    let world = &lab.world;
    assert!(lab.devices[0].update(world).is_some());
    let body = json!({ "name": "third", "release": "v3", "takes_over": true });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "third");
    let states: Vec<RolloutDeviceState> =
        lab.states("second").into_iter().map(|(_, _, state)| state).collect();
    let skipped = RolloutDeviceState::Skipped;
    assert_eq!(states, [RolloutDeviceState::Started, skipped, skipped]);
    let world = &lab.world;
    assert_eq!(lab.devices[1].install(world).filepath, "v3.os");
    assert_eq!(lab.devices[2].install(world).filepath, "v3.os");
    // The one that had begun ends that first.
    assert_eq!(lab.devices[0].install(world).filepath, "v2.os");
    assert_eq!(rollout(world, "second").state, RolloutState::Finished);
    rollout(world, "third");
    assert_eq!(lab.devices[0].install(world).filepath, "v3.os");
    assert_eq!(rollout(world, "third").state, RolloutState::Finished);
}

#[test]
fn a_preview_says_who_and_who_not_and_why() {
    let mut lab = Lab::new(4);
    pin(&lab, "d1");
    crate::device::Device::provisioned(&lab.world, "bare");
    let body = json!({ "name": "early", "release": "v2", "scope": { "devices": ["d2"] } });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "early");
    lab.install("d2");
    let body = json!({ "name": "busy", "release": "v1", "scope": { "devices": ["d2"] } });
    create_rollout(&lab.world, &body).expect(201);
    rollout(&lab.world, "busy");
    let body = json!({ "name": "second", "release": "v2",
        "phases": [{ "devices": ["d0", "d1", "d2", "bare"] }] });
    let preview: RolloutPreview = lab
        .world
        .send_json(&lab.world.operator(), Method::Post, paths::ROLLOUT_PREVIEW, &body)
        .expect(200)
        .read();
    let of = |id: &str| preview.items.iter().find(|one| one.device == id).expect("in it");
    let reason = |id: &str| of(id).reason.clone().unwrap_or_default();
    assert_eq!((of("d0").state, of("d0").reason.as_ref()), (RolloutDeviceState::Waiting, None));
    assert_eq!(of("d1").state, RolloutDeviceState::Skipped);
    assert!(reason("d1").contains("pinned"), "{}", reason("d1"));
    assert!(reason("d2").contains("another rollout"), "{}", reason("d2"));
    assert!(reason("bare").contains("no target"), "{}", reason("bare"));
    assert_eq!((preview.devices, preview.current, preview.skipped), (2, 0, 2));
    // d2 runs it already: nothing is left to fetch when its turn comes.
    assert_eq!((preview.unselected, of("d2").bytes), (1, Some(0)));
    if lab.world.bucket.is_none() {
        assert_eq!((preview.bytes_unknown, of("d0").bytes), (0, Some(preview.bytes)));
    } else {
        assert_eq!((preview.bytes_unknown, preview.bytes), (1, 0));
    }
    let body = json!({ "name": "x", "release": "v1", "scope": { "devices": ["d3"] } });
    let preview: RolloutPreview = lab
        .world
        .send_json(&lab.world.operator(), Method::Post, paths::ROLLOUT_PREVIEW, &body)
        .expect(200)
        .read();
    assert_eq!((preview.devices, preview.current), (0, 1));
}

#[test]
fn an_agent_that_follows_orders_is_given_them_signed() {
    let mut lab = Lab::new(3);
    let follows = json!({ "agent": { "name": "updraft", "orders": ["consent", "download-only"] } });
    for device in [&lab.devices[0], &lab.devices[1]] {
        let client = device.client(&lab.world);
        lab.world.send_json(&client, Method::Put, "/system_info", &follows).expect(200);
    }
    let report = |lab: &Lab, device: usize, correlation: &str, reason: &str| {
        let event = json!([{ "id": format!("{correlation} {reason}"), "deviceTime": "2026-01-01T00:00:00Z",
            "eventType": { "id": "UpdateHeld", "version": 0 },
            "event": { "correlationId": correlation, "reason": reason } }]);
        let client = lab.devices[device].client(&lab.world);
        lab.world.send_json(&client, Method::Post, "/events", &event).expect(204);
    };
    let member = |lab: &Lab, name: &str, device: usize| -> RolloutDevice {
        rollout(&lab.world, name);
        let page: Page<RolloutDevice> =
            lab.world.get(&lab.world.operator(), &paths::rollout_devices(name)).read();
        page.items[device].clone()
    };

    let body = json!({ "name": "asked", "release": "v2", "action": "consent",
        "scope": { "devices": ["d0", "d2"] } });
    create_rollout(&lab.world, &body).expect(201);
    let deaf = member(&lab, "asked", 1);
    assert_eq!(deaf.state, RolloutDeviceState::Skipped);
    assert!(deaf.reason.unwrap_or_default().contains("agent does not say"));
    let told = lab.devices[0].update(&lab.world).expect("an order");
    assert_eq!(told.order, updraft_tuf::InstallOrder::Consent);
    let correlation = told.correlation_id.clone().unwrap_or_default();
    report(&lab, 0, "urn:another", "consent");
    assert_eq!(member(&lab, "asked", 0).reason, None);
    report(&lab, 0, &correlation, "consent");
    let waits = member(&lab, "asked", 0);
    assert_eq!(waits.reason.as_deref(), Some("downloaded, waits for consent"));
    // It says that it has it; that is not what this rollout is for.
    report(&lab, 0, &correlation, "download-only");
    assert_eq!(member(&lab, "asked", 0).state, RolloutDeviceState::Started);
    lab.install("d0");
    let done = member(&lab, "asked", 0);
    assert_eq!((done.state, done.reason), (RolloutDeviceState::Succeeded, None));

    let body = json!({ "name": "early", "release": "v2", "action": "download_only",
        "scope": { "devices": ["d1", "d2"] } });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(member(&lab, "early", 1).state, RolloutDeviceState::Skipped);
    let told = lab.devices[1].update(&lab.world).expect("an order");
    assert_eq!(told.order, updraft_tuf::InstallOrder::DownloadOnly);
    report(&lab, 1, told.correlation_id.as_deref().unwrap_or_default(), "download-only");
    assert_eq!(member(&lab, "early", 0).state, RolloutDeviceState::Succeeded);
    assert_eq!(rollout(&lab.world, "early").state, RolloutState::Finished);
    assert!(lab.devices[1].update(&lab.world).is_none(), "the order ends with that");
    // It has not run what it only has: where that must come first, it does, and at once.
    let v3 = lab.operator.release(&lab.world, "v3", "three");
    let mut new = new_release("after", &v3.targets[0].filepath, &v3.targets[0].sha256);
    new.requires = Some("v2".into());
    lab.world.send_json(&lab.world.operator(), Method::Post, paths::RELEASES, &new).expect(201);
    let body = json!({ "name": "later", "release": "after", "scope": { "devices": ["d1"] } });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(member(&lab, "later", 0).via.as_deref(), Some("v2"));
    let told = lab.devices[1].update(&lab.world).expect("an order");
    assert_eq!((told.filepath.as_str(), told.order), ("v2.os", updraft_tuf::InstallOrder::AtOnce));
}

#[test]
fn a_device_of_uptane_is_asked_only_where_it_asks_by_itself() {
    let mut lab = Lab::new(2);
    let config = "[uptane]\nrequire_consent = true\n";
    let client = lab.devices[0].client(&lab.world);
    let path = "/system_info/config";
    let answer = lab.world.send(&client, Method::Post, path, config);
    assert!(answer.status < 300, "{}", answer.status);
    let body = json!({ "name": "second", "release": "v2", "action": "consent" });
    create_rollout(&lab.world, &body).expect(201);
    let first = rollout(&lab.world, "second");
    assert_eq!((first.counts.assigned, first.counts.skipped), (1, 1));
    lab.install("d0");
    let body = json!({ "name": "third", "release": "v2", "action": "download_only",
        "scope": { "devices": ["d1"] } });
    create_rollout(&lab.world, &body).expect(201);
    assert_eq!(rollout(&lab.world, "third").counts.skipped, 1);
}
