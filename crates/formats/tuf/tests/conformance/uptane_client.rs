//! Full verification of Uptane: both repositories, and each attack on their files by name.

use crate::common::{
    ToyVerifier, World, director_target, earlier, image_target, key, later, stored, time,
};
use serde_json::{Value, json};
use updraft_tuf::{
    Dialect, DirectorFiles, FileMeta, Hashes, InstalledTarget, Outcome, Payload as _, Repository,
    RoleName, TargetFormat, UptaneTarget, UptaneUpdater, Verified,
};

const BOTH: [Repository; 2] = [Repository::Director, Repository::Image];

fn update(world: &mut World) -> Vec<Verified<UptaneTarget>> {
    match world.run().unwrap() {
        Outcome::Update(targets) => targets,
        Outcome::UpToDate => panic!("no update"),
    }
}

fn installed(content: &[u8]) -> InstalledTarget {
    InstalledTarget {
        ecu_serial: "primary".to_owned(),
        filepath: "fw.bin".to_owned(),
        hashes: Hashes::of(content),
        release_counter: None,
    }
}

#[test]
fn an_assigned_target_arrives_with_all_that_an_installer_needs() {
    let mut world = World::uptane();
    let custom = json!({ "correlationId": "urn:here-ota:campaign:1" });
    world.director.targets.extra.insert("custom".to_owned(), custom);
    world.director.publish();
    let targets = update(&mut world);
    let target = &targets[0];
    assert_eq!((target.filepath.as_str(), target.length), ("fw.bin", 8));
    assert_eq!((target.ecu_serial.as_str(), target.hardware_id.as_str()), ("primary", "hw-1"));
    assert_eq!(target.format, TargetFormat::Binary);
    assert_eq!(target.correlation_id.as_deref(), Some("urn:here-ota:campaign:1"));
    assert_eq!(target.uri, None);
    assert!(target.hashes.verify(b"firmware"));
    let names = ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"];
    let both = ["director", "image"]
        .iter()
        .flat_map(|repository| names.iter().map(move |name| format!("{repository}/{name}")));
    assert_eq!(world.fetched, both.collect::<Vec<_>>());
}

#[test]
fn the_image_repository_is_asked_only_when_there_is_something_new() {
    let mut world = World::uptane();
    world.options.installed = vec![installed(b"firmware")];
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    assert!(world.fetched.iter().all(|name| name.starts_with("director/")));
    let mut world = World::uptane();
    world.director.targets.targets.clear();
    world.director.publish();
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    assert!(world.fetched.iter().all(|name| name.starts_with("director/")));
    // A second run fetches what may have changed, and gives the same answer.
    let mut world = World::uptane();
    let first = update(&mut world);
    assert_eq!(update(&mut world), first);
    let expect = ["director/2.root.json", "director/timestamp.json", "image/2.root.json"];
    assert_eq!(world.fetched[..3], expect);
    assert_eq!(world.fetched.len(), 4);
}

#[test]
fn a_director_may_serve_root_and_targets_only() {
    let mut world = World::uptane();
    world.director.files.remove("timestamp.json");
    world.refused("missing-metadata");
    world.options.director = DirectorFiles::RootAndTargets;
    world.director.root.roles.remove("timestamp");
    world.director.root.roles.remove("snapshot");
    world.director.rotate(|_| {});
    world.accepted();
    assert_eq!(
        world.fetched[..3],
        ["director/2.root.json", "director/3.root.json", "director/targets.json"]
    );
    // Rollback is noticed without a snapshot too, and so is expiry.
    let old = world.director.file("targets.json");
    world.director.targets.header.version = 2;
    world.director.publish();
    world.accepted();
    world.director.files.insert("targets.json".to_owned(), old);
    world.refused("rollback");
    world.director.targets.header.version = 3;
    world.director.targets.header.expires = earlier();
    world.director.publish();
    world.refused("expired");
}

#[test]
fn stored_metadata_can_be_verified_again_without_a_network() {
    let mut world = World::uptane();
    let fresh = update(&mut world);
    let verify = |world: &World| {
        UptaneUpdater::verify_stored(
            &world.store,
            &world.ecus,
            world.now,
            &world.options,
            ToyVerifier,
        )
    };
    assert_eq!(verify(&world).unwrap(), Outcome::Update(fresh));
    world.now = later();
    assert_eq!(verify(&world).unwrap_err().name(), "expired");
    world.now = time(crate::common::NOW);
    world.store.image.remove(&RoleName::Targets);
    assert_eq!(verify(&world).unwrap_err().name(), "missing-metadata");
}

#[test]
fn a_power_cut_at_any_point_loses_nothing() {
    for crash_after in 0..16 {
        let mut world = World::uptane();
        world.accepted();
        for repository in BOTH {
            let server = world.server(repository);
            server.rotate(|server| server.set_role("timestamp", &[key(90)], 1));
            server.advance();
        }
        let mut clean = world.clone();
        clean.accepted();
        if world.run_until(crash_after).is_some() {
            assert!(crash_after >= 12, "{crash_after}");
        }
        world.accepted();
        assert_eq!(world.store, clean.store, "after {crash_after} changes");
    }
}

// Every role of both repositories.

#[test]
fn expired_files_are_refused() {
    for repository in BOTH {
        for role in ["root", "timestamp", "snapshot", "targets"] {
            let mut world = World::uptane();
            let server = world.server(repository);
            match role {
                "root" => server.rotate(|server| server.root.header.expires = earlier()),
                "timestamp" => server.timestamp_expires = earlier(),
                "snapshot" => server.snapshot_expires = earlier(),
                _ => server.targets.header.expires = earlier(),
            }
            server.publish();
            world.refused("expired");
        }
    }
}

#[test]
fn unsigned_half_signed_and_wrongly_signed_files_are_refused() {
    for repository in BOTH {
        for role in ["timestamp", "snapshot", "targets"] {
            for signers in [vec![], vec![key(99)], vec![key(99), key(98)]] {
                let mut world = World::uptane();
                world.server(repository).signers.insert(role.to_owned(), signers);
                world.server(repository).publish();
                world.refused("threshold");
            }
            let mut world = World::uptane();
            let server = world.server(repository);
            server.rotate(|server| server.set_role(role, &[key(81), key(82)], 2));
            server.signers.insert(role.to_owned(), vec![key(82)]);
            server.publish();
            world.refused("threshold");
        }
    }
}

#[test]
fn replayed_old_files_are_refused() {
    for repository in BOTH {
        let mut world = World::uptane();
        let old = world.server(repository).files.clone();
        world.server(repository).advance();
        world.accepted();
        // All files of the past; then the old targets alone, under a new snapshot.
        world.server(repository).files = old;
        world.refused("rollback");
        let server = world.server(repository);
        server.targets.header.version = 1;
        server.snapshot_version = 3;
        server.timestamp_version = 3;
        server.publish();
        world.refused("rollback");
    }
}

#[test]
fn mixed_files_are_refused() {
    for repository in BOTH {
        let mut world = World::uptane();
        let old_targets = world.server(repository).file("targets.json");
        let old_snapshot = world.server(repository).file("snapshot.json");
        world.server(repository).detailed = false;
        world.server(repository).advance();
        let good = world.server(repository).files.clone();
        let store = world.store.clone();
        world.server(repository).put("targets", 2, old_targets);
        world.refused("mix-and-match");
        world.server(repository).files = good;
        world.store = store;
        world.server(repository).put("snapshot", 2, old_snapshot.clone());
        let name = world.run().unwrap_err().name();
        assert!(name == "wrong-length" || name == "wrong-hash", "{name}");
        world.server(repository).put_timestamp(FileMeta::of(2, &old_snapshot));
        world.refused("mix-and-match");
    }
}

#[test]
fn bad_root_rotations_are_refused_and_good_ones_followed() {
    for repository in BOTH {
        for signers in [vec![], vec![key(91)], vec![key(10), key(20)]] {
            let mut world = World::uptane();
            let server = world.server(repository);
            server.set_role("root", &[key(91)], 1);
            server.root.header.version = 2;
            server.put_root(&signers);
            world.refused("threshold");
        }
        for version in [1, 3] {
            let mut world = World::uptane();
            let server = world.server(repository);
            server.root.header.version = version;
            server.publish_root();
            let bytes = server.files[&format!("{version}.root.json")].clone();
            server.files.insert("2.root.json".to_owned(), bytes);
            world.refused("root-version");
        }
        let mut world = World::uptane();
        for seed in 100..110 {
            world.server(repository).rotate(|server| server.set_role("root", &[key(seed)], 1));
        }
        world.accepted();
    }
}

#[test]
fn fast_forward_is_recovered_from_by_rotating_keys() {
    for repository in BOTH {
        let mut world = World::uptane();
        world.server(repository).timestamp_version = 1_000;
        world.server(repository).snapshot_version = 1_000;
        world.server(repository).publish();
        world.accepted();
        world.server(repository).timestamp_version = 2;
        world.server(repository).snapshot_version = 2;
        world.server(repository).publish();
        world.refused("rollback");
        world.server(repository).rotate(|server| server.set_role("snapshot", &[key(90)], 1));
        world.server(repository).publish();
        world.accepted();
        let expect = ["timestamp", "snapshot"].map(|role| format!("{repository}/{role}"));
        assert_eq!(world.deleted, expect);
        // Fast-forwarded targets are forgotten with the keys that signed them.
        world.server(repository).targets.header.version = 1_000;
        world.server(repository).advance();
        world.accepted();
        world.server(repository).targets.header.version = 3;
        world.server(repository).rotate(|server| {
            server.set_role("targets", &[key(70)], 1);
            server.set_role("snapshot", &[key(71)], 1);
        });
        world.server(repository).publish();
        world.accepted();
    }
}

#[test]
fn endless_files_are_refused() {
    for repository in BOTH {
        for name in ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"] {
            let mut world = World::uptane();
            world.server(repository).files.insert(name.to_owned(), vec![b' '; (8 << 20) + 1]);
            world.refused("endless-data");
        }
    }
}

#[test]
fn files_of_another_role_are_refused() {
    let mut world = World::uptane();
    // A targets key signs a snapshot's content and the like: the type alone must stop it.
    for (role, lie) in [("targets", "Snapshot"), ("targets", "targets"), ("targets", "Root")] {
        let server = world.server(Repository::Director);
        let mut payload = server.targets.to_value(Dialect::Uptane);
        payload["_type"] = json!(lie);
        let bytes = server.sign(payload, &server.signers[role].clone());
        let mut world = world.clone();
        world.options.director = DirectorFiles::RootAndTargets;
        world.director.files.insert("targets.json".to_owned(), bytes);
        world.refused("wrong-role-type");
    }
    // A root's type may be written in either case.
    let server = world.server(Repository::Image);
    let mut payload = server.root.to_value(Dialect::Uptane);
    payload["_type"] = json!("root");
    payload["version"] = json!(2);
    let bytes = server.sign(payload, &server.signers["root"].clone());
    server.files.insert("2.root.json".to_owned(), bytes);
    world.accepted();
}

#[test]
fn key_ids_without_keys_and_doubled_signatures_are_refused() {
    for repository in BOTH {
        let mut world = World::uptane();
        world.server(repository).rotate(|server| {
            let stray = "00".parse().unwrap();
            server.root.roles.get_mut("timestamp").unwrap().key_ids.push(stray);
        });
        world.refused("unknown-key");
        let mut world = World::uptane();
        let bytes = world.server(repository).file("timestamp.json");
        let mut file: Value = serde_json::from_slice(&bytes).unwrap();
        let first = file["signatures"][0].clone();
        file["signatures"].as_array_mut().unwrap().push(first);
        let bytes = serde_json::to_vec(&file).unwrap();
        world.server(repository).files.insert("timestamp.json".to_owned(), bytes);
        world.refused("malformed");
    }
}

#[test]
fn malformed_files_are_refused() {
    let base = World::uptane().director.file("timestamp.json");
    let text = String::from_utf8(base).unwrap();
    let doubled = text.replacen("\"version\":1", "\"version\":1,\"version\":1", 1);
    let no_hash = text.replacen("\"hashes\"", "\"hashez\"", 1);
    let offset = text.replace("00:00:00Z", "00:00:00+00:00");
    let zero = text.replace("\"version\":1", "\"version\":0");
    let versions = ["-1", "1.0", "1e0", "18446744073709551616", "\"1\"", "null", "true", "[1]"];
    let versions = versions.map(|new| text.replace("\"version\":1", &format!("\"version\":{new}")));
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let nested = text.replacen('{', &format!("{{\"x\":{},", "[".repeat(70) + &"]".repeat(70)), 1);
    for bad in versions.iter().chain([&deep, &nested]) {
        let mut world = World::uptane();
        world.director.files.insert("timestamp.json".to_owned(), bad.clone().into());
        world.refused("malformed");
    }
    for bad in [doubled.as_str(), &no_hash, &offset, &zero, "", "{}", "[]", "{\"signed\":1}"] {
        let mut world = World::uptane();
        world.director.files.insert("timestamp.json".to_owned(), bad.into());
        world.refused("malformed");
    }
}

#[test]
fn a_signature_must_name_its_method_and_be_base64() {
    let change = |edit: fn(&mut Value)| {
        let mut world = World::uptane();
        let mut file: Value =
            serde_json::from_slice(&world.director.file("timestamp.json")).unwrap();
        edit(&mut file["signatures"][0]);
        let bytes = serde_json::to_vec(&file).unwrap();
        world.director.files.insert("timestamp.json".to_owned(), bytes);
        world.run().map_err(|refusal| refusal.name())
    };
    assert!(change(|signature| signature["method"] = json!("ED25519")).is_ok());
    let no_method = |signature: &mut Value| {
        signature.as_object_mut().unwrap().remove("method");
    };
    assert_eq!(change(no_method).unwrap_err(), "threshold");
    let other = |signature: &mut Value| signature["method"] = json!("rsassa-pss");
    assert_eq!(change(other).unwrap_err(), "threshold");
    let hex = |signature: &mut Value| signature["sig"] = json!("00ff00ff");
    assert_eq!(change(hex).unwrap_err(), "threshold");
}

#[test]
fn hashes_are_over_the_canonical_form() {
    let mut world = World::uptane();
    for repository in BOTH {
        for name in ["snapshot.json", "targets.json", "timestamp.json"] {
            let bytes = world.server(repository).file(name);
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            world.server(repository).files.insert(name.to_owned(), pretty);
        }
    }
    world.accepted();
    let mut snapshot = world.image.file("snapshot.json");
    assert_eq!(stored(&world.store.image, &RoleName::Snapshot), Some(snapshot.clone()));
    let at = snapshot.windows(4).position(|four| four == b"2031").unwrap();
    snapshot[at + 3] = b'2';
    world.image.timestamp_version = 2;
    world.image.publish();
    world.image.files.insert("snapshot.json".to_owned(), snapshot);
    world.store.image.remove(&RoleName::Snapshot);
    let name = world.run().unwrap_err().name();
    assert!(name == "wrong-length" || name == "wrong-hash", "{name}");
}

#[test]
fn changed_content_of_the_same_version_is_accepted() {
    let mut world = World::uptane();
    for server in [&mut world.director, &mut world.image] {
        server.detailed = false;
        server.targets.targets.clear();
        server.publish();
    }
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    let content = b"firmware";
    world.image.targets.targets.insert("fw.bin".to_owned(), image_target(content));
    let target = director_target(content, "primary", "hw-1");
    world.director.targets.targets.insert("fw.bin".to_owned(), target);
    world.director.publish();
    world.image.publish();
    world.accepted();
}

#[test]
fn versioned_names_are_tried_first_where_the_root_promises_them() {
    let mut world = World::uptane();
    world.image.rotate(|server| server.root.consistent_snapshot = Some(true));
    world.accepted();
    assert!(world.fetched.contains(&"image/1.snapshot.json".to_owned()));
    assert!(!world.fetched.contains(&"image/snapshot.json".to_owned()));
    world.store.image.remove(&RoleName::Snapshot);
    world.image.files.remove("1.snapshot.json");
    world.accepted();
    assert!(world.fetched.contains(&"image/snapshot.json".to_owned()));
}
