//! The Image repository: what operators sign, as the server takes and serves it.

use serde_json::json;
use updraft_api::{EventKind, MetadataAccepted, Page, paths};
use updraft_http::Method;
use updraft_publish::{RootPlan, TopLevelKeys};
use updraft_tuf::Dialect;

use crate::device::{Device, HARDWARE};
use crate::operator::{Build, Operator, in_days, key, new_release, ostree_target, plan};
use crate::world::World;

#[test]
fn signed_metadata_is_taken_and_made_current() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.add_target(&world, "a.os", &"a".repeat(64));
    operator.add_target(&world, "b.os", &"b".repeat(64));
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    let signed = |file: &str| {
        let path = format!("/repo/{file}.json");
        world.get(&client, &path).expect(200).json()["signed"].clone()
    };
    assert_eq!(signed("1.root")["_type"], "Root");
    assert_eq!(signed("targets")["version"], 2);
    assert_eq!(signed("snapshot")["meta"]["targets.json"]["version"], 2);
    assert_eq!(
        signed("timestamp")["meta"]["snapshot.json"]["version"],
        signed("snapshot")["version"]
    );
    let current = world.get(&world.operator(), paths::IMAGE_TARGETS).expect(200);
    assert_eq!(current.json()["signed"], signed("targets"));
    // What was signed is served byte for byte, after a restart too.
    let mut world = world;
    let before = world.get(&client, "/repo/snapshot.json").expect(200).body;
    world.restart();
    let client = device.client(&world);
    assert_eq!(world.get(&client, "/repo/snapshot.json").expect(200).body, before);
}

#[test]
fn u_s1_what_a_client_would_refuse_is_refused_and_changes_nothing() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.add_target(&world, "a.os", &"a".repeat(64));
    let before = world.get(&world.operator(), paths::IMAGE_TARGETS).expect(200).body;
    let put = |path: &str, body: Vec<u8>| world.send(&world.operator(), Method::Put, path, body);

    // An older version with other content.
    let newer = operator.draft_targets(&world, |_| {});
    let again = operator.draft_targets(&world, |targets| {
        targets.targets.insert("c.os".to_owned(), ostree_target(&"c".repeat(64), &[HARDWARE]));
    });
    put(paths::IMAGE_TARGETS, newer).expect(200);
    put(paths::IMAGE_TARGETS, again).expect(403);
    put(paths::IMAGE_TARGETS, before.clone()).expect(403);
    // The wrong key.
    let mut draft = operator.repository.draft_targets(in_days(&world, 9), vec![], |targets| {
        targets.header.version = 9;
    });
    assert!(draft.sign(&[&key()]).is_err() || draft.finish().is_err());
    let mut forged: serde_json::Value = serde_json::from_slice(&before).expect("JSON");
    forged["signed"]["version"] = 9.into();
    put(paths::IMAGE_TARGETS, serde_json::to_vec(&forged).expect("JSON")).expect(403);
    // Expired.
    let mut draft = operator.repository.draft_targets(in_days(&world, -1), vec![], |targets| {
        targets.header.version = 10;
    });
    draft.sign(&[&operator.targets_key]).expect("signed");
    put(paths::IMAGE_TARGETS, draft.finish().expect("signed")).expect(403);
    // Rubbish, and too much of it.
    put(paths::IMAGE_TARGETS, b"{}".to_vec()).expect(400);
    put(paths::IMAGE_TARGETS, b"not json".to_vec()).expect(400);
    put(paths::IMAGE_TARGETS, vec![b' '; (8 << 20) + 1]).expect(413);
    // The role of another file.
    put(paths::IMAGE_ROOT, before).expect(403);

    let after = world.get(&world.operator(), paths::IMAGE_TARGETS).expect(200).json();
    assert_eq!(after["signed"]["version"], 2);
    let events: Page<updraft_api::Event> = world.get(&world.operator(), paths::EVENTS).read();
    let refused = events.items.iter().filter(|e| e.kind == EventKind::ImageMetadataRefused);
    assert_eq!(refused.count(), 7);
}

#[test]
fn a_root_must_let_the_server_sign() {
    let world = World::new();
    let (root_key, targets_key, other) = (key(), key(), key());
    let plan = RootPlan {
        snapshot: TopLevelKeys::single(other.public().clone()),
        ..plan(&world, &root_key, &targets_key)
    };
    let mut draft = plan.first_root(Dialect::Uptane, in_days(&world, 365));
    draft.sign(&[&root_key]).expect("signed");
    let root = draft.finish().expect("signed");
    let answer = world.send(&world.operator(), Method::Put, paths::IMAGE_ROOT, root).expect(403);
    assert!(answer.text().contains("online-keys"), "{}", answer.text());
    world.get(&world.operator(), paths::IMAGE_ROOT).expect(404);
}

#[test]
fn before_there_is_a_root_nothing_else_is_taken() {
    let world = World::new();
    world.send(&world.operator(), Method::Put, paths::IMAGE_TARGETS, "{}").expect(412);
    let release = new_release("v1", "a.os", &"a".repeat(64));
    world.send_json(&world.operator(), Method::Post, paths::RELEASES, &release).expect(412);
}

#[test]
fn roots_are_rotated_one_by_one() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.add_target(&world, "a.os", &"a".repeat(64));
    let mut device = Device::new(&world, "vehicle-1");
    assert!(device.update(&world).is_none());
    // New keys for root and targets.
    let (new_root, new_targets) = (key(), key());
    let plan = plan(&world, &new_root, &new_targets);
    let mut draft = operator.repository.draft_root(&plan, in_days(&world, 365));
    draft.sign(&[&new_root]).expect("signed");
    assert!(draft.finish().is_err(), "the old root must sign too");
    draft.sign(&[&operator.root_key]).expect("signed");
    let root = draft.finish().expect("signed by both");
    let put = |body: Vec<u8>| world.send(&world.operator(), Method::Put, paths::IMAGE_ROOT, body);
    let accepted: MetadataAccepted = put(root.clone()).expect(200).read();
    assert_eq!(accepted.version, 2);
    // The same again is a retry.
    put(root.clone()).expect(200);
    let now = world.environment().now();
    operator.repository.accept_root(&root, now).expect("as the server did");
    operator.targets_key = new_targets;
    // Targets signed by the new key make everything current again.
    operator.add_target(&world, "b.os", &"b".repeat(64));
    let client = device.client(&world);
    world.get(&client, "/repo/1.root.json").expect(200);
    world.get(&client, "/repo/2.root.json").expect(200);
    assert_eq!(world.get(&client, "/repo/targets.json").json()["signed"]["version"], 2);
}

#[test]
fn snapshot_and_timestamp_are_renewed_in_time() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    operator.add_target(&world, "a.os", &"a".repeat(64));
    let device = Device::new(&world, "vehicle-1");
    let version = || {
        let file = world.get(&device.client(&world), "/repo/timestamp.json").expect(200).json();
        file["signed"]["version"].as_u64().expect("version")
    };
    let first = version();
    world.fleet().renew_image_metadata().expect("nothing to do");
    assert_eq!(version(), first);
    world.clock.pass(4 * 24 * 3600);
    world.fleet().renew_image_metadata().expect("renewed");
    assert_eq!(version(), first + 1);
}

#[test]
fn releases_name_only_what_was_signed_and_uploaded() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    let build = Build::new(&world, "v1", "one");
    let post = |release: &updraft_api::NewRelease| {
        world.send_json(&world.operator(), Method::Post, paths::RELEASES, release)
    };
    operator.add_target(&world, "v1.os", &build.commit);
    let good = new_release("v1", "v1.os", &build.commit);
    // Signed, but the commit is not here.
    post(&good).expect(404);
    build.push(&world);
    // Not signed under this name, with this hash, for this hardware, in this format.
    post(&new_release("v1", "other.os", &build.commit)).expect(400);
    post(&new_release("v1", "v1.os", &"0".repeat(64))).expect(400);
    let mut wrong = good.clone();
    wrong.targets[0].hardware_ids.push("elsewhere".to_owned());
    post(&wrong).expect(400);
    let mut wrong = good.clone();
    wrong.targets[0].format = updraft_api::TargetFormat::Binary;
    post(&wrong).expect(400);
    let mut wrong = good.clone();
    wrong.targets[0].length = 1;
    post(&wrong).expect(400);
    let mut wrong = good.clone();
    wrong.targets.clear();
    post(&wrong).expect(400);
    let mut wrong = good.clone();
    wrong.name = "../v1".to_owned();
    post(&wrong).expect(400);
    post(&good).expect(201);
    post(&good).expect(409);
    world.get(&world.operator(), &paths::release("v1")).expect(200);
    world.get(&world.operator(), &paths::release("v9")).expect(404);
}

#[test]
fn u_s1_target_files_are_compared_with_the_signed_targets() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    let content = b"firmware image ".repeat(50_000);
    let sha256 = updraft_crypto::sha256_hex(&content);
    let targets = operator.draft_targets(&world, |targets| {
        let mut target = ostree_target(&sha256, &[HARDWARE]);
        target.length = content.len() as u64;
        target.custom.as_mut().expect("custom")["targetFormat"] = "BINARY".into();
        targets.targets.insert("fw/image.bin".to_owned(), target);
    });
    operator.upload_targets(&world, &targets).expect(200);
    let put = |name: &str, body: Vec<u8>| {
        world.send(&world.operator(), Method::Put, &paths::image_file(name), body)
    };
    put("fw/other.bin", content.clone()).expect(404);
    put("../image.bin", content.clone()).expect(400);
    let mut wrong = content.clone();
    wrong[7] ^= 1;
    put("fw/image.bin", wrong).expect(403);
    put("fw/image.bin", content[..100].to_vec()).expect(403);
    let mut longer = content.clone();
    longer.push(0);
    put("fw/image.bin", longer).expect(413);
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    world.get(&client, "/repo/targets/fw%2Fimage.bin").expect(404);
    put("fw/image.bin", content.clone()).expect(201);
    put("fw/image.bin", content.clone()).expect(204);
    for path in ["/repo/targets/fw%2Fimage.bin", "/repo/targets/fw/image.bin"] {
        assert_eq!(world.get(&client, path).expect(200).body, content);
    }
}

#[test]
fn a_release_of_files_that_were_not_uploaded_is_refused() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    let file = |text: &str, more: serde_json::Value| {
        let mut target = ostree_target(&updraft_crypto::sha256_hex(text.as_bytes()), &[HARDWARE]);
        target.length = text.len() as u64;
        let custom = target.custom.as_mut().and_then(|custom| custom.as_object_mut());
        let custom = custom.expect("custom");
        custom.insert("targetFormat".to_owned(), "BINARY".into());
        custom.extend(more.as_object().expect("members").clone());
        target
    };
    let elsewhere = json!({ "uri": "https://cdn.example/firmware" });
    let targets = operator.draft_targets(&world, |targets| {
        for (name, target) in [
            ("plain.bin", file("plain", json!({}))),
            ("secret.bin", file("secret", json!({}))),
            ("elsewhere.bin", file("elsewhere", elsewhere)),
        ] {
            targets.targets.insert(name.to_owned(), target);
        }
    });
    operator.upload_targets(&world, &targets).expect(200);
    let release_as = |name: &str, text: &str, encrypted: bool| {
        let mut new = new_release("v1", name, &updraft_crypto::sha256_hex(text.as_bytes()));
        new.name = name.replace('.', "-");
        new.targets[0].format = updraft_api::TargetFormat::Binary;
        new.targets[0].length = text.len() as u64;
        new.encrypted = encrypted;
        world.send_json(&world.operator(), Method::Post, paths::RELEASES, &new)
    };
    let release = |name: &str, text: &str| release_as(name, text, false);
    let refused = release("plain.bin", "plain").expect(404);
    assert!(refused.text().contains("plain.bin"), "{}", refused.text());
    assert!(refused.text().contains("uploaded"), "{}", refused.text());
    world.get(&world.operator(), &paths::release("plain-bin")).expect(404);
    release("elsewhere.bin", "elsewhere").expect(201);
    // Whoever encrypts it for each component afterwards says so.
    release_as("secret.bin", "secret", true).expect(201);
    world
        .send(&world.operator(), Method::Put, &paths::image_file("plain.bin"), "plain")
        .expect(201);
    release("plain.bin", "plain").expect(201);
}

#[test]
fn targets_and_delegated_targets_are_taken_together_or_not_at_all() {
    let mut world = World::new();
    let operator = Operator::new(&world);
    let team = key();
    let delegation = updraft_publish::Delegation {
        name: "team".to_owned(),
        keys: vec![team.public().clone()],
        threshold: 1,
        terminating: false,
        paths: vec!["team-*".to_owned()],
    };
    let expires = in_days(&world, 90);
    let mut targets = operator.repository.draft_delegation(&delegation, expires).expect("draft");
    let next = operator.repository.assuming(&targets).expect("repository");
    let edit = |targets: &mut updraft_tuf::Targets| {
        for name in ["team-1.os", "other.os"] {
            targets.targets.insert(name.to_owned(), ostree_target(&"a".repeat(64), &[HARDWARE]));
        }
    };
    let mut first = next.draft_delegated("team", expires, vec![], edit).expect("draft");
    targets.sign(&[&operator.targets_key]).expect("signed");
    let text = |draft: &updraft_publish::Draft| {
        String::from_utf8(draft.finish().expect("signed")).expect("text")
    };
    let post = |targets: Option<String>, role: &str, first: String| {
        let delegations = [(role.to_owned(), first)].into();
        let change = updraft_api::ImageChange { targets, delegations, ..Default::default() };
        world.send_json(&world.operator(), Method::Post, paths::IMAGE_CHANGE, &change)
    };
    post(Some(text(&targets)), "team", "{}".to_owned()).expect(400);
    world.get(&world.operator(), paths::IMAGE_TARGETS).expect(404);
    first.sign(&[&team]).expect("signed");
    post(Some(text(&targets)), "../team", text(&first)).expect(400);
    post(Some(text(&targets)), "nobody", text(&first)).expect(404);
    world.get(&world.operator(), paths::IMAGE_TARGETS).expect(404);
    let changed: updraft_api::ImageChanged =
        post(Some(text(&targets)), "team", text(&first)).expect(200).read();
    assert_eq!(changed.accepted.len(), 2);
    // The same again is a retry, and nothing is no change.
    post(Some(text(&targets)), "team", text(&first)).expect(200);
    world.send(&world.operator(), Method::Post, paths::IMAGE_CHANGE, "{}").expect(400);

    // Releases are found where devices find them: by the role's patterns.
    let release = |name: &str| {
        let new = new_release("v1", name, &"a".repeat(64));
        world.send_json(&world.operator(), Method::Post, paths::RELEASES, &new)
    };
    let answer = release("other.os").expect(400);
    assert!(answer.text().contains("not in the signed targets"), "{}", answer.text());
    // This one is found, and only its commit is missing.
    release("team-1.os").expect(404);
    let device = Device::new(&world, "vehicle-1");
    let file = "/repo/delegations/team.json";
    let before = world.get(&device.client(&world), file).expect(200).body;
    world.restart();
    assert_eq!(world.get(&device.client(&world), file).expect(200).body, before);
}
