//! The steps of the TUF 1.0.34 client workflow, one test for each number.

use crate::common::{Server, World, earlier, image_target, key, later, stored, time};
use serde_json::Value;
use updraft_tuf::{
    Dialect, FileMeta, FirstRoot, Hashes, RoleFiles, RoleName, Step, Target, TufUpdater,
};

/// A repository that changed before the client saw it, and the name of the refusal.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Server)) {
    let mut world = World::tuf();
    change(&mut world.image);
    world.refused_tuf(name);
}

/// The client knows version 1 when the repository changes.
#[track_caller]
fn refused_later(name: &str, change: impl FnOnce(&mut Server)) {
    let mut world = World::tuf();
    world.accepted_tuf();
    change(&mut world.image);
    let before = world.store.clone();
    world.refused_tuf(name);
    assert_eq!(world.store.image.get(&RoleName::Targets), before.image.get(&RoleName::Targets));
}

/// Serves the file of `name` with other bytes, and lists what is listed by version only.
fn tamper(server: &mut Server, name: &str, change: impl FnOnce(&mut Value)) {
    server.detailed = false;
    server.publish();
    let mut file: Value = serde_json::from_slice(&server.file(name)).unwrap();
    change(&mut file);
    let bytes = serde_json::to_vec(&file).unwrap();
    if name.contains("snapshot") {
        server.put_timestamp(FileMeta::of(1, &bytes));
    }
    server.files.insert(name.to_owned(), bytes);
}

#[test]
fn tuf_5_1_the_start_time_is_fixed_once() {
    // The updater is told the time once, and has no other clock: what expires while it runs is
    // judged at the beginning.
    let mut world = World::tuf();
    world.now = time("2030-12-31T23:59:59Z");
    world.accepted_tuf();
    world.now = later();
    world.refused_tuf("expired");
}

#[test]
fn tuf_5_2_the_trusted_root_is_loaded_and_its_expiry_ignored() {
    let mut world = World::tuf();
    world.image.root.header.expires = earlier();
    world.image.publish_root();
    world.store.image.insert(RoleName::Root, world.image.root_bytes());
    world.image.rotate(|server| server.root.header.expires = later());
    world.accepted_tuf();
    let mut world = World::tuf();
    world.store.image = RoleFiles::new();
    world.refused_tuf("no-trusted-root");
    world.options.first_root = FirstRoot::TrustOnFirstUse;
    world.accepted_tuf();
}

#[test]
fn tuf_5_3_3_the_next_root_is_asked_for_by_its_number_and_bounded() {
    let mut world = World::tuf();
    world.image.rotate(|_| {});
    world.accepted_tuf();
    assert_eq!(world.fetched[..2], ["image/2.root.json", "image/3.root.json"]);
    refused("endless-data", |server| {
        server.files.insert("2.root.json".to_owned(), vec![b' '; (512 << 10) + 1]);
    });
    let mut world = World::tuf();
    world.options.limits.root_rotations = 3;
    for _ in 0..5 {
        world.image.rotate(|_| {});
    }
    world.accepted_tuf();
    assert!(!world.fetched.contains(&"image/5.root.json".to_owned()));
}

#[test]
fn tuf_5_3_3_a_chain_of_any_length_takes_the_memory_of_two_roots() {
    let mut world = World::tuf();
    for _ in 0..2_000 {
        world.image.rotate(|_| {});
    }
    world.accepted_tuf();
    assert_eq!(
        stored(&world.store.image, &RoleName::Root),
        Some(world.image.file("2001.root.json"))
    );
    assert_eq!(world.store.image.iter().count(), 4);
}

#[test]
fn tuf_5_3_4_a_root_needs_the_thresholds_of_the_old_and_the_new_root() {
    let mut world = World::tuf();
    world.image.rotate(|server| server.set_role("root", &[key(91), key(92), key(93)], 2));
    world.image.rotate(|server| server.set_role("root", &[key(94)], 1));
    world.accepted_tuf();
    for (signers, accepted) in [
        (vec![key(20)], false),
        (vec![key(91), key(92)], false),
        (vec![key(20), key(91)], false),
        (vec![key(20), key(91), key(93)], true),
    ] {
        let mut world = World::tuf();
        world.image.set_role("root", &[key(91), key(92), key(93)], 2);
        world.image.root.header.version = 2;
        world.image.put_root(&signers);
        if accepted { world.accepted_tuf() } else { world.refused_tuf("threshold") }
    }
}

#[test]
fn tuf_5_3_5_a_root_is_exactly_one_version_up() {
    for version in [1, 3, 4] {
        refused("root-version", |server| {
            server.root.header.version = version;
            let bytes = server.signed("root", &server.root.clone());
            server.files.insert("2.root.json".to_owned(), bytes);
        });
    }
}

#[test]
fn tuf_5_3_8_each_root_is_persisted_before_the_next_one_is_asked_for() {
    let mut world = World::tuf();
    world.image.rotate(|_| {});
    world.image.rotate(|_| {});
    let options = world.options.clone();
    let mut updater = TufUpdater::new(
        world.store.image.clone(),
        &[],
        world.now,
        &options,
        crate::common::ToyVerifier,
    );
    let mut order = Vec::new();
    loop {
        match updater.next().unwrap() {
            Step::Fetch { file_name, .. } => {
                match world.image.files.get(&file_name) {
                    Some(bytes) => updater.received(bytes).unwrap(),
                    None => updater.absent().unwrap(),
                }
                order.push(file_name);
            }
            Step::Persist { role, .. } => order.push(format!("persist {role}")),
            Step::Delete { .. } => {}
            Step::Done(_) => break,
        }
    }
    let expect = ["2.root.json", "persist root", "3.root.json", "persist root", "4.root.json"];
    assert_eq!(order[..5], expect);
}

#[test]
fn tuf_5_3_9_roots_are_followed_until_there_is_none() {
    let mut world = World::tuf();
    for seed in 100..110 {
        world.image.rotate(|server| server.set_role("root", &[key(seed)], 1));
    }
    world.accepted_tuf();
    assert_eq!(stored(&world.store.image, &RoleName::Root), Some(world.image.file("11.root.json")));
    // A chain that breaks in the middle is followed up to there, and then refused.
    let mut world = World::tuf();
    world.image.rotate(|_| {});
    world.image.root.header.version = 3;
    world.image.put_root(&[key(99)]);
    world.refused_tuf("threshold");
    assert_eq!(stored(&world.store.image, &RoleName::Root), Some(world.image.file("2.root.json")));
}

#[test]
fn tuf_5_3_10_only_the_last_root_must_not_have_expired() {
    let mut world = World::tuf();
    world.image.rotate(|server| server.root.header.expires = earlier());
    world.refused_tuf("expired");
    world.image.rotate(|server| server.root.header.expires = later());
    world.accepted_tuf();
}

#[test]
fn tuf_5_3_11_rotated_timestamp_or_snapshot_keys_delete_both_files() {
    for (role, deleted) in [("timestamp", true), ("snapshot", true), ("targets", false)] {
        let mut world = World::tuf();
        (world.image.timestamp_version, world.image.snapshot_version) = (1_000, 1_000);
        world.image.publish();
        world.accepted_tuf();
        world.image.rotate(|server| server.set_role(role, &[key(90)], 1));
        if deleted {
            (world.image.timestamp_version, world.image.snapshot_version) = (2, 2);
        } else {
            world.image.timestamp_version = 1_001;
            world.image.snapshot_version = 1_001;
            world.image.targets.header.version += 1;
        }
        world.image.publish();
        world.accepted_tuf();
        assert_eq!(!world.deleted.is_empty(), deleted, "{role}: {:?}", world.deleted);
    }
}

#[test]
fn tuf_5_3_12_names_carry_versions_when_the_root_says_so() {
    let mut world = World::tuf();
    world.accepted_tuf();
    assert!(world.fetched.contains(&"image/1.targets.json".to_owned()));
    let mut world = World::tuf();
    world.image.rotate(|server| server.root.consistent_snapshot = None);
    world.accepted_tuf();
    assert!(world.fetched.contains(&"image/targets.json".to_owned()));
}

#[test]
fn tuf_5_4_1_a_timestamp_is_bounded() {
    refused("endless-data", |server| {
        server.files.insert("timestamp.json".to_owned(), vec![b' '; (64 << 10) + 1]);
    });
}

#[test]
fn tuf_5_4_2_a_timestamp_needs_a_threshold_of_distinct_keys() {
    refused("threshold", |server| {
        server.rotate(|server| server.set_role("timestamp", &[key(81), key(82)], 2));
        server.signers.insert("timestamp".to_owned(), vec![key(81)]);
        server.publish();
    });
    refused("malformed", |server| {
        tamper(server, "timestamp.json", |file| {
            let first = file["signatures"][0].clone();
            file["signatures"].as_array_mut().unwrap().push(first);
        });
    });
}

#[test]
fn tuf_5_4_3_neither_timestamp_nor_its_snapshot_goes_back_and_the_same_version_stays() {
    let mut world = World::tuf();
    let old = world.image.clone();
    world.image.advance();
    world.accepted_tuf();
    let kept = world.image.file("timestamp.json");
    world.image.timestamp_expires = time("2032-01-01T00:00:00Z");
    world.image.publish();
    world.accepted_tuf();
    assert_eq!(stored(&world.store.image, &RoleName::Timestamp), Some(kept));
    assert!(!world.fetched.iter().any(|name| name.ends_with("snapshot.json")));
    world.image.snapshot_version = 1;
    world.image.timestamp_version = 3;
    world.image.publish();
    world.refused_tuf("rollback");
    world.image = old;
    world.refused_tuf("rollback");
}

#[test]
fn tuf_5_4_4_an_expired_timestamp_is_refused() {
    refused("expired", |server| {
        server.timestamp_expires = time(crate::common::NOW);
        server.publish();
    });
}

#[test]
fn tuf_5_4_5_a_timestamp_is_persisted_byte_for_byte_and_only_when_it_is_trusted() {
    let mut world = World::tuf();
    let mut pretty = world.image.file("timestamp.json");
    pretty.extend_from_slice(b"\n \n");
    world.image.files.insert("timestamp.json".to_owned(), pretty.clone());
    world.accepted_tuf();
    assert_eq!(stored(&world.store.image, &RoleName::Timestamp), Some(pretty.clone()));
    world.image.timestamp_version = 2;
    world.image.signers.insert("timestamp".to_owned(), vec![key(99)]);
    world.image.publish();
    world.refused_tuf("threshold");
    assert_eq!(stored(&world.store.image, &RoleName::Timestamp), Some(pretty));
}

#[test]
fn tuf_5_5_1_a_snapshot_has_the_listed_length_or_is_bounded() {
    refused("wrong-length", |server| {
        server.files.get_mut("1.snapshot.json").unwrap().push(b' ');
    });
    refused("endless-data", |server| {
        let meta = FileMeta { length: None, hashes: None, ..FileMeta::of(1, b"") };
        server.put_timestamp(meta);
        server.files.insert("1.snapshot.json".to_owned(), vec![b' '; (8 << 20) + 1]);
    });
}

#[test]
fn tuf_5_5_2_a_snapshot_has_the_listed_hashes() {
    refused("wrong-hash", |server| {
        let bytes = server.file("snapshot.json");
        let mut meta = FileMeta::of(1, &bytes);
        meta.hashes = Some(Hashes::of(b"other"));
        server.put_timestamp(meta);
    });
}

#[test]
fn tuf_5_5_3_a_snapshot_needs_a_threshold() {
    refused("threshold", |server| {
        server.signers.insert("snapshot".to_owned(), vec![key(23)]);
        server.publish();
    });
}

#[test]
fn tuf_5_5_4_a_snapshot_has_the_listed_version() {
    refused("mix-and-match", |server| {
        let bytes = server.file("snapshot.json");
        server.put_timestamp(FileMeta::of(2, &bytes));
        server.files.insert("2.snapshot.json".to_owned(), bytes);
    });
}

#[test]
fn tuf_5_5_5_no_targets_file_goes_back_or_disappears() {
    let mut world = World::tuf();
    world.delegate_to_team();
    world.image.targets.header.version = 5;
    world.image.publish();
    world.accepted_tuf();
    let trusted = world.clone();
    world.image.targets.header.version = 4;
    (world.image.snapshot_version, world.image.timestamp_version) = (2, 2);
    world.image.publish();
    world.refused_tuf("rollback");
    let mut world = trusted;
    world.image.delegated.clear();
    (world.image.snapshot_version, world.image.timestamp_version) = (2, 2);
    world.image.publish();
    world.refused_tuf("rollback");
}

#[test]
fn tuf_5_5_6_an_expired_snapshot_is_refused() {
    refused("expired", |server| {
        server.snapshot_expires = earlier();
        server.publish();
    });
}

#[test]
fn tuf_5_5_7_a_snapshot_is_persisted_only_when_it_is_trusted() {
    let mut world = World::tuf();
    world.accepted_tuf();
    let kept = stored(&world.store.image, &RoleName::Snapshot);
    assert_eq!(kept, Some(world.image.file("snapshot.json")));
    world.image.signers.insert("snapshot".to_owned(), vec![key(99)]);
    world.image.advance();
    world.refused_tuf("threshold");
    assert_eq!(stored(&world.store.image, &RoleName::Snapshot), kept);
}

#[test]
fn tuf_5_6_1_targets_have_the_listed_length_or_are_bounded() {
    refused("wrong-length", |server| {
        server.files.get_mut("1.targets.json").unwrap().push(b' ');
    });
    refused("endless-data", |server| {
        server.detailed = false;
        server.publish();
        server.files.insert("1.targets.json".to_owned(), vec![b' '; (8 << 20) + 1]);
    });
}

#[test]
fn tuf_5_6_2_targets_have_the_listed_hashes() {
    refused("wrong-hash", |server| {
        let bytes = server.files.get_mut("1.targets.json").unwrap();
        let at = bytes.windows(4).position(|four| four == b"2031").unwrap();
        bytes[at + 3] = b'2';
    });
}

#[test]
fn tuf_5_6_3_targets_need_a_threshold() {
    refused("threshold", |server| {
        server.signers.insert("targets".to_owned(), vec![key(22)]);
        server.publish();
    });
    refused_later("threshold", |server| {
        server.signers.insert("targets".to_owned(), vec![]);
        server.advance();
    });
}

#[test]
fn tuf_5_6_4_targets_have_the_listed_version() {
    refused("mix-and-match", |server| {
        server.detailed = false;
        let old = server.file("targets.json");
        server.targets.header.version = 2;
        server.publish();
        server.files.insert("2.targets.json".to_owned(), old);
    });
}

#[test]
fn tuf_5_6_5_expired_targets_are_refused() {
    refused("expired", |server| {
        server.targets.header.expires = earlier();
        server.publish();
    });
}

#[test]
fn tuf_5_6_6_targets_are_persisted_only_when_they_are_trusted() {
    refused_later("expired", |server| {
        server.targets.header.expires = earlier();
        server.advance();
    });
    let mut world = World::tuf();
    world.accepted_tuf();
    let kept = world.image.file("targets.json");
    assert_eq!(stored(&world.store.image, &RoleName::Targets), Some(kept));
}

#[test]
fn tuf_5_6_7_delegations_are_searched_in_pre_order_each_role_once_and_not_without_end() {
    // The order, terminating roles, patterns and hash prefixes are in `delegations.rs`; here is
    // what may not happen: a role that the snapshot does not list, and a stored role that its
    // present delegator does not trust.
    let mut world = World::tuf();
    world.delegate_to_team();
    world.accepted_tuf();
    let delegations = world.image.targets.delegations.as_mut().unwrap();
    let stranger = key(77);
    let id = stranger.0.key_id(Dialect::Tuf);
    delegations.keys.insert(id.clone(), updraft_tuf::Key::new(Dialect::Tuf, stranger.0.clone()));
    delegations.roles[0].keys.key_ids = vec![id];
    world.image.targets.header.version += 1;
    (world.image.snapshot_version, world.image.timestamp_version) = (2, 2);
    world.image.publish();
    world.refused_tuf("threshold");
    let mut world = World::tuf();
    world.delegate_to_team();
    world.image.delegated.clear();
    world.image.publish();
    world.refused_tuf("not-in-snapshot");
}

#[test]
fn tuf_5_7_a_target_is_told_with_length_hashes_and_its_name_on_the_server() {
    let mut world = World::tuf();
    world.image.targets.targets.insert("app/x.bin".to_owned(), image_target(b"x"));
    let mut both = Target::new(8, Hashes::of(b"firmware"));
    both.custom = None;
    world.image.targets.targets.insert("fw.bin".to_owned(), both);
    world.image.publish();
    let outcome = world.run_tuf(&["app/x.bin", "nothing"]).unwrap();
    let target = outcome.wanted["app/x.bin"].as_ref().unwrap();
    let digest = updraft_tuf::sha256_hex(b"x");
    assert_eq!(target.download_path, format!("app/{digest}.x.bin"));
    assert_eq!(target.length, 1);
    assert!(target.hashes.verify(b"x") && !target.hashes.verify(b"y"));
    assert_eq!(outcome.wanted["nothing"], None);
}
