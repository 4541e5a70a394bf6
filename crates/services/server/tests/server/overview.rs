//! The fleet at a glance, and the device list as people ask for it.

use std::collections::BTreeSet;

use serde_json::json;
use updraft_api::{
    AttentionReason, DevicePage, DeviceState, Event, FailureCluster, Group, Overview, Page, Scope,
    paths,
};
use updraft_http::Method;

use crate::device::Device;
use crate::operator::{Operator, create_rollout, rollout};
use crate::world::World;

/// A fleet with a device in every state: of each the name is its state.
fn fleet() -> World {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.release(&world, "v1", "one");
    Device::new(&world, "registered");
    let mut devices: Vec<Device> = ["idle", "failed", "updating", "assigned", "revoked"]
        .into_iter()
        .map(|id| Device::new(&world, id))
        .collect();
    let roll_out = |name: &str, release: &str, devices: &[&str]| {
        let body = json!({ "name": name, "release": release, "scope": { "devices": devices },
            "failure_threshold": { "percent": 100, "minimum": 9 } });
        create_rollout(&world, &body).expect(201);
        rollout(&world, name);
    };
    let ids: Vec<String> = devices.iter().map(|device| device.id.clone()).collect();
    roll_out("first", "v1", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    for device in &mut devices {
        device.install(&world);
    }
    operator.release(&world, "v2", "two");
    roll_out("second", "v2", &["failed", "updating", "assigned"]);
    devices[1].fail(&world);
    assert!(devices[2].update(&world).is_some());
    // When they were seen is written now and then; queries see what is written.
    world.fleet().flush().expect("flushed");
    let revoke = paths::device_revoke("revoked");
    world.send(&world.operator(), Method::Post, &revoke, "").expect(200);
    world
}

fn listed(world: &World, query: &str) -> Vec<String> {
    let path = format!("{}?{query}", paths::DEVICES);
    let page: DevicePage = world.get(&world.operator(), &path).expect(200).read();
    assert_eq!(page.total, page.items.len() as u64, "{query}");
    page.items.into_iter().map(|device| device.id).collect()
}

#[test]
fn the_list_finds_each_device_by_the_state_that_it_shows() {
    let world = fleet();
    let all: DevicePage = world.get(&world.operator(), paths::DEVICES).read();
    assert_eq!(all.total, 6);
    for device in &all.items {
        let word = serde_json::to_value(device.state).expect("a word");
        assert_eq!(word, device.id.as_str());
        assert_eq!(listed(&world, &format!("filter=state%3D%3D{}", device.id)), [&*device.id]);
    }
    assert_eq!(listed(&world, "filter=state=in=(failed,idle)"), ["failed", "idle"]);
    assert_eq!(listed(&world, "filter=release==v1;state!=revoked").len(), 4);
    assert_eq!(listed(&world, "filter=release=is=null"), ["registered"]);
    assert_eq!(listed(&world, "filter=rollout==second"), ["assigned", "updating"]);
    assert_eq!(listed(&world, "filter=id==*d;hardware_id==test-*").len(), 4);
    assert_eq!(listed(&world, "filter=last_seen%3E-1d").len(), 6);
    world.clock.pass(8 * 24 * 3600);
    assert_eq!(listed(&world, "filter=last_seen%3C-7d").len(), 6);
}

#[test]
fn lists_have_an_order_and_parts() {
    let world = fleet();
    let part = |query: &str| -> DevicePage {
        let path = format!("{}?limit=2&{query}", paths::DEVICES);
        world.get(&world.operator(), &path).expect(200).read()
    };
    let ids =
        |page: &DevicePage| page.items.iter().map(|device| device.id.clone()).collect::<Vec<_>>();
    let first = part("");
    assert_eq!((ids(&first), first.total), (vec!["assigned".into(), "failed".into()], 6));
    let after = part("after=failed");
    assert_eq!((ids(&after), after.total), (vec!["idle".into(), "registered".into()], 6));
    assert_eq!(ids(&part("skip=2")), ids(&after));
    assert_eq!(ids(&part("sort=state:DESC&skip=1")), ["revoked", "registered"]);
    assert_eq!(part("sort=state:DESC").next, None, "a cursor is one of ids");
    assert!(part("skip=6").items.is_empty());
    for (wrong, says) in [
        ("sort=state:DESC&after=idle", "with `sort`, use `skip`"),
        ("sort=certificate:ASC", "there is no field"),
        ("filter=certificate==1", "there is no field"),
        ("filter=state", "failed to accept"),
        ("filter=last_seen%3E=soon", "a time, such as -7d"),
        ("group=nobody", "find group nobody"),
        ("skip=-1", "failed to accept the query"),
    ] {
        let answer = world.get(&world.operator(), &format!("{}?{wrong}", paths::DEVICES));
        assert!((400..=404).contains(&answer.status), "{wrong}: {}", answer.status);
        assert!(answer.text().contains(says), "{wrong}: {}", answer.text());
    }
}

#[test]
fn the_overview_counts_what_the_list_lists() {
    let world = fleet();
    let overview: Overview = world.get(&world.operator(), paths::OVERVIEW).read();
    assert_eq!(overview.devices, 6);
    let states: BTreeSet<DeviceState> = overview.states.iter().map(|one| one.state).collect();
    assert_eq!(states.len(), 6);
    assert!(overview.states.iter().all(|one| one.devices == 1));
    let versions: Vec<_> =
        overview.versions.iter().map(|one| (one.release.as_deref(), one.devices)).collect();
    assert_eq!(versions, [(Some("v1"), 4), (None, 1)]);
    let names: Vec<_> = overview.rollouts.iter().map(|rollout| rollout.name.as_str()).collect();
    assert_eq!(names, ["second"]);
    let attention = |overview: &Overview| -> Vec<(AttentionReason, u64)> {
        overview.attention.iter().map(|one| (one.reason, one.devices)).collect()
    };
    let [failed, attacked, silent] =
        [AttentionReason::Failed, AttentionReason::Attacked, AttentionReason::Silent];
    assert_eq!(attention(&overview), [(failed, 1), (attacked, 0), (silent, 0)]);
    for one in &overview.attention {
        let filter = paths::encode(&one.filter);
        assert_eq!(listed(&world, &format!("filter={filter}")).len() as u64, one.devices);
    }
    world.clock.pass(8 * 24 * 3600);
    let later: Overview = world.get(&world.operator(), paths::OVERVIEW).read();
    assert_eq!(attention(&later), [(failed, 1), (attacked, 0), (silent, 5)]);
}

#[test]
fn failures_are_told_by_reason() {
    let world = fleet();
    let path = paths::rollout_failures("second");
    let page: Page<FailureCluster> = world.get(&world.operator(), &path).read();
    assert_eq!(page.items.len(), 1);
    assert_eq!((page.items[0].devices, page.items[0].example.as_str()), (1, "failed"));
    assert!(page.items[0].reason.contains("health check failed"), "{}", page.items[0].reason);
    let none: Page<FailureCluster> =
        world.get(&world.operator(), &paths::rollout_failures("first")).read();
    assert!(none.items.is_empty());
    world.get(&world.operator(), &paths::rollout_failures("nothing")).expect(404);
}

#[test]
fn many_members_change_at_once_or_none() {
    let world = fleet();
    let client = world.operator();
    world.send_json(&client, Method::Post, paths::GROUPS, &json!({ "name": "lab" })).expect(201);
    let path = paths::group_devices("lab");
    let change = |body: serde_json::Value| world.send_json(&client, Method::Post, &path, &body);
    let group: Group = change(json!({ "add": ["idle", "failed", "idle"] })).read();
    assert_eq!(group.device_count, 2);
    change(json!({ "add": ["updating", "nobody"] })).expect(404);
    let group: Group = change(json!({ "add": ["updating"], "remove": ["idle"] })).read();
    assert_eq!(group.device_count, 2);
    assert_eq!(listed(&world, "filter=group==lab"), ["failed", "updating"]);
    assert_eq!(listed(&world, "group=lab&filter=state==failed"), ["failed"]);
    change(json!({ "ad": [] })).expect(400);
    let too_many: Vec<String> = (0..100_001).map(|_| "a".to_owned()).collect();
    change(json!({ "add": too_many })).expect(400);
    let reader = world.client(None, Some(&world.make_token("reader", Scope::Read)));
    world.send_json(&reader, Method::Post, &path, &json!({})).expect(403);
}

#[test]
fn events_are_told_newest_first() {
    let world = fleet();
    let list = |query: &str| -> Page<Event> {
        let path = format!("{}?{query}", paths::EVENTS);
        world.get(&world.operator(), &path).expect(200).read()
    };
    let newest = list("before=&limit=3");
    assert_eq!(newest.items.len(), 3);
    assert!(newest.items.is_sorted_by(|a, b| a.id > b.id));
    let older = list(&format!("before={}", newest.next.expect("there is more")));
    assert_eq!(older.items[0].id + 1, newest.items[2].id);
    let failures = list("before=&kind=assignment_failed&rollout=second");
    assert_eq!(failures.items.len(), 1);
    assert_eq!(failures.items[0].device.as_deref(), Some("failed"));
    for wrong in ["before=1&after=1", "kind=device_deleted", "before=&kind=nothing", "before=x"] {
        let path = format!("{}?{wrong}", paths::EVENTS);
        let status = world.get(&world.operator(), &path).status;
        assert!(status == 400 || wrong.ends_with("nothing"), "{wrong}: {status}");
    }
}

#[test]
fn prometheus_is_told_of_requests_and_the_fleet() {
    let world = World::new();
    drop(Device::new(&world, "d1"));
    world.get(&world.client(None, None), updraft_api::paths::METRICS).expect(401);
    let scrape = || world.get(&world.operator(), updraft_api::paths::METRICS);
    let answer = scrape();
    let kind = answer.headers.get("content-type").unwrap_or_default().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = scrape().expect(200).text();
    for line in [
        "updraft_devices{state=\"registered\"} 1",
        "updraft_requests_total{interface=\"monitoring\",status=\"4xx\"} 1",
        "updraft_requests_total{interface=\"monitoring\",status=\"2xx\"} 1",
        "updraft_request_seconds_count{interface=\"uptane\"}",
        "updraft_devices_need_attention{reason=\"failed\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}
