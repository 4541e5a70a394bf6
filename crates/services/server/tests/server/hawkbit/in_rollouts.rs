//! Devices that are told actions, in rollouts like every other device.

use serde_json::{Value, json};
use updraft_api::{Page, Release, Rollout, RolloutDevice, RolloutDeviceState, RolloutState, paths};
use updraft_http::Method;

use super::{Hawkbit, links};
use crate::operator::{create_rollout, rollout};

fn release(hawkbit: &Hawkbit, body: &Value) -> Release {
    let world = &hawkbit.world;
    world.send_json(&world.operator(), Method::Post, paths::RELEASES, body).expect(201).read()
}

fn member(hawkbit: &Hawkbit, name: &str, device: &str) -> RolloutDevice {
    let world = &hawkbit.world;
    let path = paths::rollout_devices(name);
    let page: Page<RolloutDevice> = world.get(&world.operator(), &path).read();
    page.items.into_iter().find(|one| one.device == device).expect("in the rollout")
}

fn post(hawkbit: &Hawkbit, path: &str) -> crate::world::Answer {
    hawkbit.world.send(&hawkbit.world.operator(), Method::Post, path, "")
}

/// The action that a device is told to do, or to stop.
fn action(hawkbit: &Hawkbit, device: &str, link: &str) -> i64 {
    let poll = hawkbit.poll(device);
    let href = poll["_links"][link]["href"].as_str().unwrap_or_else(|| panic!("{link}: {poll}"));
    let end = href.split_once(&format!("/{link}/")).expect("a number").1;
    end.split('?').next().and_then(|number| number.parse().ok()).expect("a number")
}

fn fetch(hawkbit: &Hawkbit, device: &str) -> i64 {
    let action = action(hawkbit, device, "deploymentBase");
    hawkbit.ddi(device, &format!("/deploymentBase/{action}"), &[]).expect(200);
    action
}

#[test]
fn a_rollout_goes_through_devices_of_hawkbit() {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "d3"] {
        hawkbit.make_target(id);
    }
    let (small, _) = hawkbit.make_set("1-small", b"1");
    let (large, _) = hawkbit.make_set("1-large", b"22");
    hawkbit.poll("d3");
    let kind = json!({ "data": { "device_type": "large" } });
    hawkbit.tell("d3", "PUT", "/configData", &kind).expect(200);
    release(
        &hawkbit,
        &json!({ "name": "v1", "distribution_sets": [
            { "id": large, "attributes": { "device_type": "large" } }, { "id": small }] }),
    );
    let body = json!({ "name": "r", "release": "v1",
        "phases": [{ "devices": ["d1"] }, { "percent": 100 }] });
    create_rollout(&hawkbit.world, &body).expect(201);
    let first = rollout(&hawkbit.world, "r");
    assert_eq!((first.counts.assigned, first.counts.waiting), (1, 2));
    assert_eq!(links(&hawkbit.poll("d2")), ["configData"]);
    let told = fetch(&hawkbit, "d1");
    assert_eq!(member(&hawkbit, "r", "d1").state, RolloutDeviceState::Started);
    hawkbit.feedback("d1", told, "proceeding", "none").expect(200);
    // Downloaded is not installed.
    hawkbit.feedback("d1", told, "downloaded", "none").expect(200);
    assert_eq!(rollout(&hawkbit.world, "r").counts.started, 1);
    hawkbit.feedback("d1", told, "closed", "success").expect(200);
    let second = rollout(&hawkbit.world, "r");
    assert_eq!((second.current_phase, second.counts.succeeded), (1, 1));
    let told = fetch(&hawkbit, "d3");
    let deployment = hawkbit.ddi("d3", &format!("/deploymentBase/{told}"), &[]).json();
    assert_eq!(deployment["deployment"]["chunks"][0]["version"], "1-large");
    for id in ["d2", "d3"] {
        let told = fetch(&hawkbit, id);
        hawkbit.feedback(id, told, "closed", "success").expect(200);
    }
    let end = rollout(&hawkbit.world, "r");
    assert_eq!((end.state, end.counts.succeeded), (RolloutState::Finished, 3));
    // Everybody has it: another one has nothing to do.
    create_rollout(&hawkbit.world, &json!({ "name": "again", "release": "v1" })).expect(201);
    assert_eq!(rollout(&hawkbit.world, "again").state, RolloutState::Finished);
}

#[test]
fn a_failed_release_is_taken_back_from_devices_of_hawkbit() {
    let hawkbit = Hawkbit::new();
    let (one, _) = hawkbit.make_set("1", b"1");
    let (two, _) = hawkbit.make_set("2", b"2");
    release(&hawkbit, &json!({ "name": "v1", "distribution_sets": [{ "id": one }] }));
    release(&hawkbit, &json!({ "name": "v2", "distribution_sets": [{ "id": two }] }));
    for id in ["d1", "d2", "d3"] {
        hawkbit.poll(id);
        let action = hawkbit.assign(one, id, &json!({}));
        hawkbit.feedback(id, action, "closed", "success").expect(200);
    }
    let body = json!({ "name": "r", "release": "v2", "on_failure": "rollback",
        "failure_threshold": { "percent": 1 } });
    create_rollout(&hawkbit.world, &body).expect(201);
    rollout(&hawkbit.world, "r");
    let told = fetch(&hawkbit, "d1");
    hawkbit.feedback("d1", told, "closed", "success").expect(200);
    let told = fetch(&hawkbit, "d2");
    let failure = json!({ "status": { "execution": "closed", "result": { "finished": "failure" },
        "details": ["no power"] } });
    hawkbit.tell("d2", "POST", &format!("/deploymentBase/{told}/feedback"), &failure).expect(200);
    let back = rollout(&hawkbit.world, "r");
    assert_eq!(back.state, RolloutState::RollingBack);
    let failed = member(&hawkbit, "r", "d2");
    assert_eq!(failed.state, RolloutDeviceState::Failed);
    assert!(failed.reason.expect("a reason").contains("no power"));
    // d3 had not fetched it: there is nothing for it any more.
    assert_eq!(member(&hawkbit, "r", "d3").state, RolloutDeviceState::Cancelled);
    assert!(!links(&hawkbit.poll("d3")).contains(&"deploymentBase".to_owned()));
    let told = fetch(&hawkbit, "d1");
    let deployment = hawkbit.ddi("d1", &format!("/deploymentBase/{told}"), &[]).json();
    assert_eq!(deployment["deployment"]["chunks"][0]["version"], "1");
    hawkbit.feedback("d1", told, "closed", "success").expect(200);
    assert_eq!(rollout(&hawkbit.world, "r").state, RolloutState::RolledBack);
    assert_eq!(member(&hawkbit, "r", "d1").state, RolloutDeviceState::RolledBack);
}

#[test]
fn how_to_install_is_said_in_the_words_of_the_protocol() {
    let hawkbit = Hawkbit::new();
    for (number, (action, expect)) in
        [("forced", "forced"), ("soft", "soft"), ("download_only", "downloadonly")]
            .into_iter()
            .enumerate()
    {
        let id = format!("d{number}");
        hawkbit.poll(&id);
        let (set, _) = hawkbit.make_set(&format!("v{number}"), b"x");
        let name = format!("v{number}");
        release(&hawkbit, &json!({ "name": name, "distribution_sets": [{ "id": set }] }));
        let body = json!({ "name": name, "release": name, "action": action,
            "scope": { "devices": [id] } });
        create_rollout(&hawkbit.world, &body).expect(201);
        rollout(&hawkbit.world, &name);
        let told = self::action(&hawkbit, &id, "deploymentBase");
        let path = format!("targets/{id}/actions/{told}");
        let shown = hawkbit.rest("GET", &path, None).expect(200).json();
        assert_eq!(shown["forceType"], expect, "{shown}");
        if action == "download_only" {
            fetch(&hawkbit, &id);
            hawkbit.feedback(&id, told, "downloaded", "none").expect(200);
            assert_eq!(rollout(&hawkbit.world, &name).state, RolloutState::Finished);
        }
    }
    hawkbit.poll("d9");
    let body = json!({ "name": "ask", "release": "v0", "action": "consent",
        "scope": { "devices": ["d9"] } });
    create_rollout(&hawkbit.world, &body).expect(201);
    rollout(&hawkbit.world, "ask");
    let asked = action(&hawkbit, "d9", "confirmationBase");
    assert_eq!(member(&hawkbit, "ask", "d9").state, RolloutDeviceState::Assigned);
    let path = format!("/confirmationBase/{asked}/feedback");
    hawkbit.tell("d9", "POST", &path, &json!({ "confirmation": "confirmed" })).expect(200);
    let told = fetch(&hawkbit, "d9");
    hawkbit.feedback("d9", told, "closed", "success").expect(200);
    assert_eq!(rollout(&hawkbit.world, "ask").state, RolloutState::Finished);
}

#[test]
fn what_else_happens_to_an_action_is_seen_in_its_rollout() {
    let hawkbit = Hawkbit::new();
    let (set, _) = hawkbit.make_set("1", b"1");
    let (other, _) = hawkbit.make_set("2", b"2");
    release(&hawkbit, &json!({ "name": "v1", "distribution_sets": [{ "id": set }] }));
    for id in ["d1", "d2", "d3"] {
        hawkbit.poll(id);
    }
    let body = json!({ "name": "r", "release": "v1", "device_timeout_seconds": 3600,
        "failure_threshold": { "percent": 100 } });
    create_rollout(&hawkbit.world, &body).expect(201);
    rollout(&hawkbit.world, "r");
    // An operator wants something else of d1.
    let first = fetch(&hawkbit, "d1");
    hawkbit.assign(other, "d1", &json!({}));
    let cancel = action(&hawkbit, "d1", "cancelAction");
    assert_eq!(cancel, first);
    let body = json!({ "status": { "execution": "closed", "result": { "finished": "success" } } });
    hawkbit.tell("d1", "POST", &format!("/cancelAction/{cancel}/feedback"), &body).expect(200);
    assert_eq!(member(&hawkbit, "r", "d1").state, RolloutDeviceState::Skipped);
    // d2 is deleted, d3 gives no news.
    fetch(&hawkbit, "d3");
    hawkbit.rest("DELETE", "targets/d2", None);
    hawkbit.world.clock.pass(3601);
    let end: Rollout = rollout(&hawkbit.world, "r");
    assert_eq!((end.state, end.counts.failed), (RolloutState::Stopped, 1));
    assert_eq!(member(&hawkbit, "r", "d2").state, RolloutDeviceState::Skipped);
    // What d3 was told is taken back.
    action(&hawkbit, "d3", "cancelAction");
    post(&hawkbit, &paths::rollout_verb("r", "retry")).expect(200);
    assert_eq!(rollout(&hawkbit.world, "r").state, RolloutState::Running);
}

#[test]
fn a_set_that_may_not_be_told_any_more_holds_up_nobody_else() {
    let hawkbit = Hawkbit::new();
    let (bad, _) = hawkbit.make_set("1", b"1");
    let (good, _) = hawkbit.make_set("2", b"2");
    for (name, set) in [("bad", bad), ("good", good)] {
        release(&hawkbit, &json!({ "name": name, "distribution_sets": [{ "id": set }] }));
    }
    hawkbit.poll("d1");
    let body = json!({ "actionCancelationType": "none", "cancelRollouts": false });
    let path = format!("distributionsets/{bad}/invalidate");
    let answer = hawkbit.rest("POST", &path, Some(&body));
    assert!(answer.status < 300, "{}", answer.status);
    create_rollout(&hawkbit.world, &json!({ "name": "a", "release": "bad" })).expect(201);
    create_rollout(&hawkbit.world, &json!({ "name": "b", "release": "good" })).expect(201);
    assert_eq!(rollout(&hawkbit.world, "a").counts.skipped, 1);
    assert_eq!(rollout(&hawkbit.world, "b").counts.assigned, 1);
    // A stopped rollout's order is taken for the one that wants the same.
    let told = fetch(&hawkbit, "d1");
    post(&hawkbit, &paths::rollout_stop("b")).expect(200);
    create_rollout(&hawkbit.world, &json!({ "name": "c", "release": "good" })).expect(201);
    assert_eq!(rollout(&hawkbit.world, "c").counts.assigned, 1);
    assert_eq!(action(&hawkbit, "d1", "deploymentBase"), told);
    hawkbit.feedback("d1", told, "closed", "success").expect(200);
    assert_eq!(rollout(&hawkbit.world, "c").state, RolloutState::Finished);
}

#[test]
fn a_device_that_works_on_an_order_is_told_to_stop() {
    let hawkbit = Hawkbit::new();
    let (set, _) = hawkbit.make_set("1", b"1");
    release(&hawkbit, &json!({ "name": "v1", "distribution_sets": [{ "id": set }] }));
    hawkbit.poll("d1");
    let body = json!({ "name": "r", "release": "v1", "device_timeout_seconds": 60 });
    create_rollout(&hawkbit.world, &body).expect(201);
    rollout(&hawkbit.world, "r");
    let told = fetch(&hawkbit, "d1");
    hawkbit.feedback("d1", told, "proceeding", "none").expect(200);
    hawkbit.world.clock.pass(61);
    assert_eq!(rollout(&hawkbit.world, "r").state, RolloutState::Stopped);
    assert_eq!(action(&hawkbit, "d1", "cancelAction"), told);
}
