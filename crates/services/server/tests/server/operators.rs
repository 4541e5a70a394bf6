//! Tokens, scopes, problems, pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use updraft_api::{DeviceSummary, Event, EventKind, Group, Page, Problem, Scope, Status, paths};
use updraft_http::Method;
use updraft_server_service::fleet::operators::{TokenOptions, revoke_token};

use crate::device::Device;
use crate::world::World;

#[test]
fn every_route_demands_a_token() {
    let world = World::new();
    let nobody = world.client(None, None);
    let wrong = world.client(None, Some("updraft_0000"));
    for path in [
        paths::STATUS,
        paths::OVERVIEW,
        paths::EVENT_STREAM,
        &paths::rollout_failures("none"),
        paths::DEVICES,
        paths::GROUPS,
        paths::RELEASES,
        paths::ROLLOUTS,
        paths::EVENTS,
        paths::ONLINE_KEYS,
        paths::IMAGE_ROOT,
        &paths::image_root_version(1),
        paths::IMAGE_TARGETS,
    ] {
        let answer = world.get(&nobody, path).expect(401);
        assert_eq!(answer.headers.get("content-type"), Some("application/problem+json"));
        assert_eq!(answer.headers.get("www-authenticate"), Some("Bearer"));
        world.get(&wrong, path).expect(401);
    }
    // Only these two are for everybody.
    world.get(&nobody, paths::HEALTH).expect(200);
    world.get(&nobody, paths::OPENAPI).expect(200);
}

#[test]
fn a_revoked_token_is_refused() {
    let world = World::new();
    let token = world.make_token("temporary", Scope::Read);
    let client = world.client(None, Some(&token));
    let status: Status = world.get(&client, paths::STATUS).read();
    assert_eq!(status.token, "temporary");
    revoke_token(world.fleet().database(), &world.environment(), "temporary").expect("revoked");
    world.get(&client, paths::STATUS).expect(401);
    assert!(revoke_token(world.fleet().database(), &world.environment(), "temporary").is_err());
}

#[test]
fn a_token_is_good_for_its_days_and_its_name_is_free_afterwards() {
    let world = World::new();
    let options = TokenOptions { scope: Scope::Read, role: None, days: Some(2) };
    let client = world.client(None, Some(&world.make_token_with("visitor", options)));
    world.clock.pass(2 * 24 * 3600 - 60);
    world.get(&client, paths::STATUS).expect(200);
    world.clock.pass(120);
    let refused = world.get(&client, paths::STATUS).expect(401);
    assert!(refused.text().contains("the token has expired"), "{}", refused.text());
    world.make_token("visitor", Scope::Read);
    // The administrator's has no end.
    world.get(&world.operator(), paths::STATUS).expect(200);
}

#[test]
fn tokens_are_not_in_the_database() {
    let world = World::new();
    world.fleet().flush().expect("flushed");
    let secret = world.token.strip_prefix("updraft_").expect("prefix").as_bytes();
    for entry in std::fs::read_dir(world.layout.root()).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("file");
            assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{}", path.display());
        }
    }
}

/// Who may do what, as a whole: 403 is a refusal, anything else got past it.
#[test]
fn the_whole_matrix_of_scopes() {
    let world = World::new();
    let routes = [
        (Method::Get, paths::STATUS.to_owned()),
        (Method::Get, paths::DEVICES.to_owned()),
        (Method::Get, paths::EVENTS.to_owned()),
        (Method::Delete, paths::device("none")),
        (Method::Post, paths::device_revoke("none")),
        (Method::Get, paths::encrypted_images("none")),
        (Method::Put, paths::encrypted_image("none", "none", "none")),
        (Method::Delete, paths::encrypted_image("none", "none", "none")),
        (Method::Put, paths::ciphertext("none")),
        (Method::Post, paths::GROUPS.to_owned()),
        (Method::Put, paths::group("none")),
        (Method::Delete, paths::group("none")),
        (Method::Post, paths::group_devices("none")),
        (Method::Put, paths::group_device("none", "none")),
        (Method::Delete, paths::group_device("none", "none")),
        (Method::Post, paths::RELEASES.to_owned()),
        (Method::Post, paths::ROLLOUTS.to_owned()),
        (Method::Post, paths::ROLLOUT_PREVIEW.to_owned()),
        (Method::Post, paths::rollout_pause("none")),
        (Method::Post, paths::rollout_resume("none")),
        (Method::Post, paths::rollout_stop("none")),
        (Method::Put, paths::IMAGE_ROOT.to_owned()),
        (Method::Put, paths::IMAGE_TARGETS.to_owned()),
        (Method::Put, paths::image_delegation("none")),
        (Method::Post, paths::IMAGE_CHANGE.to_owned()),
        (Method::Put, paths::image_file("none")),
        (Method::Post, format!("{}/refs/heads/none", paths::TREEHUB)),
    ];
    let clients: BTreeMap<&str, _> = Scope::ALL
        .into_iter()
        .map(|scope| {
            let token = world.make_token(&format!("matrix-{scope}"), scope);
            (scope.name(), world.client(None, Some(&token)))
        })
        .collect();
    let mut matrix = String::new();
    for (method, path) in routes {
        let allowed: Vec<&str> = Scope::ALL
            .into_iter()
            .map(Scope::name)
            .filter(|name| world.send(&clients[name], method, &path, "").status != 403)
            .collect();
        writeln!(matrix, "{method:?} {path}: {}", allowed.join(" ")).expect("a line");
    }
    insta::assert_snapshot!(matrix, @r"
    Get /api/v1/status: read publish operate approve audit users admin
    Get /api/v1/devices: read publish operate approve audit users admin
    Get /api/v1/events: read publish operate approve audit users admin
    Delete /api/v1/devices/none: admin
    Post /api/v1/devices/none/revoke: admin
    Get /api/v1/devices/none/encrypted-images: read publish operate approve audit users admin
    Put /api/v1/devices/none/components/none/encrypted-images/none: publish admin
    Delete /api/v1/devices/none/components/none/encrypted-images/none: publish admin
    Put /api/v1/ciphertexts/none: publish admin
    Post /api/v1/groups: operate admin
    Put /api/v1/groups/none: operate admin
    Delete /api/v1/groups/none: operate admin
    Post /api/v1/groups/none/devices: operate admin
    Put /api/v1/groups/none/devices/none: operate admin
    Delete /api/v1/groups/none/devices/none: operate admin
    Post /api/v1/releases: publish admin
    Post /api/v1/rollouts: operate admin
    Post /api/v1/rollouts/preview: read publish operate approve audit users admin
    Post /api/v1/rollouts/none/pause: operate admin
    Post /api/v1/rollouts/none/resume: operate admin
    Post /api/v1/rollouts/none/stop: operate admin
    Put /api/v1/image-repository/root: admin
    Put /api/v1/image-repository/targets: publish admin
    Put /api/v1/image-repository/delegations/none: publish admin
    Post /api/v1/image-repository/change: publish admin
    Put /api/v1/image-repository/files/none: publish admin
    Post /treehub/refs/heads/none: publish admin
    ");
}

#[test]
fn problems_say_what_is_wrong() {
    let world = World::new();
    let client = world.operator();
    let problem = |answer: crate::world::Answer| -> Problem {
        assert_eq!(answer.headers.get("content-type"), Some("application/problem+json"));
        serde_json::from_slice(&answer.body).expect("a problem")
    };
    let missing = problem(world.get(&client, &paths::device("nowhere")));
    assert_eq!((missing.status, missing.kind.as_str()), (404, "not-found"));
    assert_eq!(missing.detail, "failed to find device nowhere");
    let unknown = problem(world.get(&client, "/api/v1/nothing"));
    assert_eq!(unknown.status, 404);
    let typo = problem(world.send(&client, Method::Post, paths::GROUPS, r#"{"nam": "x"}"#));
    assert_eq!((typo.status, typo.kind.as_str()), (400, "invalid"));
    assert!(typo.detail.contains("nam"), "{}", typo.detail);
    let query = problem(world.get(&client, "/api/v1/devices?limit=0"));
    assert_eq!(query.status, 400);
    let query = problem(world.get(&client, "/api/v1/devices?colour=red"));
    assert!(query.detail.contains("colour"), "{}", query.detail);
    let large = problem(world.send(&client, Method::Post, paths::GROUPS, vec![b' '; 2 << 20]));
    assert_eq!((large.status, large.kind.as_str()), (413, "exhausted"));
    let method = problem(world.send(&client, Method::Delete, paths::STATUS, ""));
    assert_eq!((method.status, method.kind.as_str()), (405, "invalid"));
    let path = problem(world.get(&client, "/api/v1/devices/%ff"));
    assert_eq!((path.status, path.kind.as_str()), (400, "invalid"));
}

#[test]
fn groups_live() {
    let world = World::new();
    Device::provisioned(&world, "vehicle-1");
    Device::provisioned(&world, "vehicle-2");
    let client = world.operator();
    let new = json!({ "name": "lab", "description": "on the desk", "devices": ["vehicle-1"] });
    let group: Group =
        world.send_json(&client, Method::Post, paths::GROUPS, &new).expect(201).read();
    assert_eq!(group.device_count, 1);
    world.send_json(&client, Method::Post, paths::GROUPS, &new).expect(409);
    let unknown = json!({ "name": "x", "devices": ["nowhere"] });
    world.send_json(&client, Method::Post, paths::GROUPS, &unknown).expect(404);
    world.get(&client, &paths::group("x")).expect(404);
    let member = paths::group_device("lab", "vehicle-2");
    world.send(&client, Method::Put, &member, "").expect(204);
    world.send(&client, Method::Put, &member, "").expect(204);
    world.send(&client, Method::Put, &paths::group_device("lab", "nowhere"), "").expect(404);
    world.send(&client, Method::Put, &paths::group_device("none", "vehicle-1"), "").expect(404);
    let members: Page<DeviceSummary> = world.get(&client, &paths::group_devices("lab")).read();
    assert_eq!(members.items.len(), 2);
    assert_eq!(members.items[0].groups, ["lab"]);
    world.send(&client, Method::Delete, &paths::group_device("lab", "vehicle-1"), "").expect(204);
    let filtered: Page<DeviceSummary> = world.get(&client, "/api/v1/devices?group=lab").read();
    assert_eq!(filtered.items.len(), 1);
    let described = json!({ "description": "elsewhere" });
    let group: Group =
        world.send_json(&client, Method::Put, &paths::group("lab"), &described).read();
    assert_eq!((group.description.as_str(), group.device_count), ("elsewhere", 1));
    // Deleting a device takes it out.
    world.send(&client, Method::Delete, &paths::device("vehicle-2"), "").expect(204);
    let group: Group = world.get(&client, &paths::group("lab")).read();
    assert_eq!(group.device_count, 0);
    world.send(&client, Method::Delete, &paths::group("lab"), "").expect(204);
    world.send(&client, Method::Delete, &paths::group("lab"), "").expect(404);
}

#[test]
fn lists_come_in_pages_that_neither_skip_nor_repeat() {
    let world = World::new();
    for n in 0..5 {
        Device::provisioned(&world, &format!("vehicle-{n}"));
    }
    let client = world.operator();
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/devices?limit=2&after={after}");
        let page: Page<DeviceSummary> = world.get(&client, &path).read();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|device| device.id));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, ["vehicle-0", "vehicle-1", "vehicle-2", "vehicle-3", "vehicle-4"]);
}

#[test]
fn events_tell_who_did_what_in_order() {
    let world = World::new();
    let client = world.operator();
    world.send_json(&client, Method::Post, paths::GROUPS, &json!({ "name": "lab" })).expect(201);
    Device::new(&world, "vehicle-1");
    let page: Page<Event> = world.get(&client, paths::EVENTS).read();
    let told: Vec<(EventKind, &str)> =
        page.items.iter().map(|event| (event.kind, event.actor.as_str())).collect();
    assert_eq!(
        told,
        [
            (EventKind::TokenCreated, "server"),
            (EventKind::GroupCreated, "token:admin"),
            (EventKind::DeviceRegistered, "server"),
            (EventKind::ComponentsRegistered, "device:vehicle-1"),
        ]
    );
    let after = page.items[2].id;
    let rest: Page<Event> = world.get(&client, &format!("/api/v1/events?after={after}")).read();
    assert_eq!(rest.items.len(), 1);
    world.get(&client, "/api/v1/events?after=x").expect(400);
}
