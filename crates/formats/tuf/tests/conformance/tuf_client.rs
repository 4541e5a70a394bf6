//! The TUF 1.0.34 client workflow, step by step, with one test or more for each rule.

use crate::common::{World, earlier, key, later, stored, time};
use serde_json::{Map, Value, json};
use updraft_tuf::{
    Dialect, FileMeta, FirstRoot, Hashes, Header, Payload, RoleFiles, RoleName, Snapshot, Target,
};

#[test]
fn a_first_run_fetches_everything_and_a_second_only_what_may_have_changed() {
    let mut world = World::tuf();
    world.accepted_tuf();
    let expect = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"];
    assert_eq!(world.fetched, expect.map(|name| format!("image/{name}")));
    world.accepted_tuf();
    assert_eq!(world.fetched, ["image/2.root.json", "image/timestamp.json"]);
    world.image.advance();
    world.accepted_tuf();
    assert!(world.fetched.contains(&"image/2.targets.json".to_owned()));
}

#[test]
fn trusted_files_are_stored_byte_for_byte() {
    let mut world = World::tuf();
    let value: Value = serde_json::from_slice(&world.image.file("timestamp.json")).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    world.image.files.insert("timestamp.json".to_owned(), pretty.clone());
    world.accepted_tuf();
    assert_eq!(stored(&world.store.image, &RoleName::Timestamp), Some(pretty));
    let targets = world.image.file("targets.json");
    assert_eq!(stored(&world.store.image, &RoleName::Targets), Some(targets));
}

#[test]
fn a_power_cut_at_any_point_loses_nothing() {
    for crash_after in 0..12 {
        let mut world = World::tuf();
        world.accepted_tuf();
        world.image.rotate(|server| server.set_role("timestamp", &[key(90)], 1));
        world.image.rotate(|_| {});
        world.image.advance();
        let mut clean = world.clone();
        clean.accepted_tuf();
        if world.run_tuf_until(&["fw.bin"], crash_after).is_some() {
            assert!(crash_after >= 6, "{crash_after}");
        }
        world.accepted_tuf();
        assert_eq!(world.store, clean.store, "after {crash_after} changes");
    }
}

#[test]
fn without_a_trusted_root_only_first_use_can_begin() {
    let mut world = World::tuf();
    world.store.image = RoleFiles::new();
    world.refused_tuf("no-trusted-root");
    world.options.first_root = FirstRoot::TrustOnFirstUse;
    world.accepted_tuf();
    assert_eq!(world.fetched[..2], ["image/1.root.json", "image/2.root.json"]);
    world.store.image = RoleFiles::new();
    world.image.rotate(|_| {});
    let second = world.image.file("2.root.json");
    world.image.files.insert("1.root.json".to_owned(), second);
    world.refused_tuf("root-version");
    world.image.files.remove("1.root.json");
    world.refused_tuf("missing-metadata");
}

#[test]
fn a_tampered_stored_root_is_refused() {
    let mut world = World::tuf();
    let mut bytes = world.image.root_bytes();
    let at = bytes.windows(4).position(|four| four == b"2031").unwrap();
    bytes[at + 3] = b'9';
    world.store.image.insert(RoleName::Root, bytes);
    world.refused_tuf("threshold");
}

// 5.3 root

#[test]
fn roots_are_followed_one_by_one_and_only_the_last_must_be_valid() {
    let mut world = World::tuf();
    world.image.root.header.expires = earlier();
    world.image.publish_root();
    world.store.image.insert(RoleName::Root, world.image.root_bytes());
    world.refused_tuf("expired");
    world.image.rotate(|_| {});
    world.image.rotate(|server| server.root.header.expires = later());
    world.accepted_tuf();
    let newest = world.image.files["3.root.json"].clone();
    assert_eq!(stored(&world.store.image, &RoleName::Root), Some(newest));
}

#[test]
fn root_keys_rotate_when_old_and_new_keys_sign() {
    let mut world = World::tuf();
    world.image.rotate(|server| server.set_role("root", &[key(91), key(92)], 2));
    world.image.rotate(|server| server.set_role("root", &[key(93)], 1));
    world.accepted_tuf();
}

#[test]
fn a_root_that_the_old_or_the_new_keys_did_not_sign_is_refused() {
    let new = key(91);
    for signers in [vec![new.clone()], vec![key(20)], vec![]] {
        let mut world = World::tuf();
        world.image.set_role("root", std::slice::from_ref(&new), 1);
        world.image.root.header.version = 2;
        world.image.put_root(&signers);
        world.refused_tuf("threshold");
    }
}

#[test]
fn a_root_must_be_exactly_one_version_up() {
    for version in [1, 3, 7] {
        let mut world = World::tuf();
        world.image.root.header.version = version;
        world.image.publish_root();
        let bytes = world.image.files[&format!("{version}.root.json")].clone();
        world.image.files.insert("2.root.json".to_owned(), bytes);
        world.refused_tuf("root-version");
    }
}

#[test]
fn no_root_follows_the_last_version_there_can_be() {
    let mut world = World::tuf();
    world.image.root.header.version = u64::MAX;
    world.image.publish_root();
    let last = world.image.file("18446744073709551615.root.json");
    world.store.image.insert(RoleName::Root, last);
    world.refused_tuf("root-version");
}

#[test]
fn an_endless_root_is_refused_and_endless_rotation_waits() {
    let mut world = World::tuf();
    world.image.files.insert("2.root.json".to_owned(), vec![b' '; 600 << 10]);
    world.refused_tuf("endless-data");
    let mut world = World::tuf();
    world.options.limits.root_rotations = 2;
    for _ in 0..5 {
        world.image.rotate(|_| {});
    }
    world.accepted_tuf();
    assert!(!world.fetched.contains(&"image/4.root.json".to_owned()));
    world.accepted_tuf();
    assert!(world.fetched.contains(&"image/5.root.json".to_owned()));
}

#[test]
fn thresholds_count_distinct_keys() {
    // The same key under two ids.
    let mut world = World::tuf();
    let mut value = world.image.root.to_value(Dialect::Tuf);
    let id = value["roles"]["timestamp"]["keyids"][0].as_str().unwrap().to_owned();
    value["keys"]["alias"] = value["keys"][&id].clone();
    value["roles"]["timestamp"] = json!({ "keyids": [id, "alias"], "threshold": 2 });
    value["version"] = json!(2);
    let root = world.image.sign(value, &world.image.signers["root"].clone());
    world.image.files.insert("2.root.json".to_owned(), root);
    let mut timestamp: Value = serde_json::from_slice(&world.image.file("timestamp.json")).unwrap();
    let mut again = timestamp["signatures"][0].clone();
    again["keyid"] = json!("alias");
    timestamp["signatures"].as_array_mut().unwrap().push(again);
    let bytes = serde_json::to_vec(&timestamp).unwrap();
    world.image.files.insert("timestamp.json".to_owned(), bytes);
    world.refused_tuf("threshold");
}

#[test]
fn a_key_id_twice_in_signatures_makes_the_file_malformed() {
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut world = World::tuf();
        world.image.detailed = false;
        world.image.publish();
        let mut file: Value = serde_json::from_slice(&world.image.file(name)).unwrap();
        let first = file["signatures"][0].clone();
        file["signatures"].as_array_mut().unwrap().push(first);
        let bytes = serde_json::to_vec(&file).unwrap();
        if name == "1.snapshot.json" {
            let meta = FileMeta::of(1, &bytes);
            world.image.put_timestamp(meta);
        }
        world.image.files.insert(name.to_owned(), bytes);
        world.refused_tuf("malformed");
    }
}

#[test]
fn a_role_that_names_a_key_which_is_not_there_is_refused() {
    let mut world = World::tuf();
    world.image.rotate(|server| {
        let stray = "00".parse().unwrap();
        server.root.roles.get_mut("targets").unwrap().key_ids.push(stray);
    });
    world.refused_tuf("unknown-key");
}

#[test]
fn rotated_timestamp_or_snapshot_keys_forget_fast_forwarded_versions() {
    for role in ["timestamp", "snapshot"] {
        let mut world = World::tuf();
        world.image.timestamp_version = 1_000_000;
        world.image.snapshot_version = 1_000_000;
        world.image.publish();
        world.accepted_tuf();
        world.image.timestamp_version = 2;
        world.image.snapshot_version = 2;
        world.image.publish();
        world.refused_tuf("rollback");
        world.image.rotate(|server| server.set_role(role, &[key(90)], 1));
        world.image.publish();
        world.accepted_tuf();
        assert_eq!(world.deleted, ["image/timestamp", "image/snapshot"]);
        assert!(world.fetched.contains(&"image/2.snapshot.json".to_owned()));
    }
}

#[test]
fn names_carry_versions_only_with_consistent_snapshots() {
    let mut world = World::tuf();
    world.image.rotate(|server| server.root.consistent_snapshot = Some(false));
    let outcome = world.run_tuf(&["fw.bin"]).unwrap();
    assert!(world.fetched.contains(&"image/snapshot.json".to_owned()));
    let target = outcome.wanted["fw.bin"].as_ref().unwrap();
    assert_eq!(target.download_path, "fw.bin");
    let mut world = World::tuf();
    let target = world.image.targets.targets["fw.bin"].clone();
    world.image.targets.targets.insert("app/fw.bin".to_owned(), target);
    world.image.publish();
    let outcome = world.run_tuf(&["app/fw.bin"]).unwrap();
    let target = outcome.wanted["app/fw.bin"].as_ref().unwrap();
    let digest = target.hashes.sha256().unwrap().to_owned();
    assert_eq!(target.download_path, format!("app/{digest}.fw.bin"));
}

// 5.4 timestamp

#[test]
fn a_lower_timestamp_is_refused_and_an_equal_one_changes_nothing() {
    let mut world = World::tuf();
    let old = world.image.file("timestamp.json");
    world.image.advance();
    world.accepted_tuf();
    let trusted = world.image.file("timestamp.json");
    world.image.files.insert("timestamp.json".to_owned(), old);
    world.refused_tuf("rollback");
    // The same version with other content: the old file stays, and that is no error.
    world.image.timestamp_expires = time("2032-01-01T00:00:00Z");
    world.image.publish();
    world.accepted_tuf();
    assert_eq!(stored(&world.store.image, &RoleName::Timestamp), Some(trusted));
}

#[test]
fn a_timestamp_may_not_name_an_older_snapshot() {
    let mut world = World::tuf();
    world.image.advance();
    world.accepted_tuf();
    world.image.snapshot_version = 1;
    world.image.timestamp_version += 1;
    world.image.publish();
    world.refused_tuf("rollback");
}

#[test]
fn expired_files_are_refused_at_the_second_they_expire() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut world = World::tuf();
        let expires = world.now;
        match role {
            "timestamp" => world.image.timestamp_expires = expires,
            "snapshot" => world.image.snapshot_expires = expires,
            _ => world.image.targets.header.expires = expires,
        }
        world.image.publish();
        world.refused_tuf("expired");
        assert_eq!(stored(&world.store.image, &role_name(role)), None);
        world.now = time("2030-05-31T23:59:59Z");
        world.accepted_tuf();
        // What is stored and has expired since is not used either.
        world.now = expires;
        world.refused_tuf("expired");
    }
}

fn role_name(role: &str) -> RoleName {
    RoleName::of_file_name(&format!("{role}.json")).unwrap()
}

#[test]
fn unsigned_and_wrongly_signed_files_are_refused() {
    for role in ["timestamp", "snapshot", "targets"] {
        for signers in [vec![], vec![key(99)], vec![key(20)]] {
            let mut world = World::tuf();
            world.image.signers.insert(role.to_owned(), signers);
            world.image.publish();
            world.refused_tuf("threshold");
        }
    }
}

#[test]
fn an_unmet_threshold_is_refused() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut world = World::tuf();
        world.image.rotate(|server| server.set_role(role, &[key(81), key(82)], 2));
        world.image.publish();
        world.accepted_tuf();
        world.image.signers.insert(role.to_owned(), vec![key(81)]);
        world.image.advance();
        world.refused_tuf("threshold");
    }
}

#[test]
fn a_file_of_another_role_is_refused() {
    let mut world = World::tuf();
    world.image.set_role("timestamp", &[key(22)], 1);
    world.image.rotate(|_| {});
    // Signed by a key that may sign timestamps, but it is a snapshot.
    let snapshot = world.image.file("snapshot.json");
    world.image.files.insert("timestamp.json".to_owned(), snapshot);
    world.refused_tuf("wrong-role-type");
    let mut world = World::tuf();
    let root = world.image.root_bytes();
    world.image.detailed = false;
    world.image.publish();
    world.image.files.insert("1.targets.json".to_owned(), root);
    world.refused_tuf("wrong-role-type");
    let mut world = World::tuf();
    let targets = world.image.file("targets.json");
    world.image.files.insert("2.root.json".to_owned(), targets);
    world.refused_tuf("wrong-role-type");
}

#[test]
fn endless_files_are_refused() {
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut world = World::tuf();
        world.image.detailed = false;
        world.image.publish();
        let mut bytes = world.image.file(name);
        bytes.resize(9 << 20, b' ');
        world.image.files.insert(name.to_owned(), bytes);
        // The timestamp gives the snapshot's length.
        let expect = if name.contains("snapshot") { "wrong-length" } else { "endless-data" };
        world.refused_tuf(expect);
    }
}

#[test]
fn a_missing_file_is_not_a_success() {
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut world = World::tuf();
        world.image.files.remove(name);
        world.refused_tuf("missing-metadata");
    }
}

// 5.5 snapshot and 5.6 targets

#[test]
fn lengths_and_hashes_must_be_the_listed_ones() {
    for name in ["1.snapshot.json", "1.targets.json"] {
        let mut world = World::tuf();
        let mut bytes = world.image.file(name);
        bytes.push(b'\n');
        world.image.files.insert(name.to_owned(), bytes.clone());
        world.refused_tuf("wrong-length");
        bytes.pop();
        bytes.pop();
        world.image.files.insert(name.to_owned(), bytes.clone());
        world.refused_tuf("wrong-length");
        bytes.push(b' ');
        world.image.files.insert(name.to_owned(), bytes);
        world.refused_tuf("wrong-hash");
    }
}

#[test]
fn versions_must_be_the_listed_ones() {
    // A snapshot of version 1 that the timestamp calls version 2.
    let mut world = World::tuf();
    let bytes = world.image.file("snapshot.json");
    world.image.put_timestamp(FileMeta::of(2, &bytes));
    world.image.files.insert("2.snapshot.json".to_owned(), bytes);
    world.refused_tuf("mix-and-match");
    // The same for targets.
    let mut world = World::tuf();
    world.image.detailed = false;
    let bytes = world.image.file("targets.json");
    world.image.targets.header.version = 2;
    world.image.publish();
    world.image.files.insert("2.targets.json".to_owned(), bytes);
    world.refused_tuf("mix-and-match");
}

#[test]
fn a_snapshot_may_not_lower_or_drop_a_targets_file() {
    let mut world = World::tuf();
    world.image.targets.header.version = 5;
    world.image.publish();
    world.accepted_tuf();
    world.image.targets.header.version = 4;
    world.image.snapshot_version = 2;
    world.image.timestamp_version = 2;
    world.image.publish();
    world.refused_tuf("rollback");

    let mut world = World::tuf();
    let mut snapshot = snapshot_of(&world, 1);
    snapshot.meta.insert("extra.json".to_owned(), FileMeta::of(3, b"x"));
    world.image.put_snapshot(&snapshot);
    world.accepted_tuf();
    snapshot.meta.remove("extra.json");
    snapshot.header.version = 2;
    world.image.timestamp_version = 2;
    world.image.put_snapshot(&snapshot);
    world.refused_tuf("rollback");
}

fn snapshot_of(world: &World, version: u64) -> Snapshot {
    let meta = FileMeta::of(1, &world.image.file("targets.json"));
    Snapshot {
        header: Header::new(Dialect::Tuf, version, later()),
        meta: [("targets.json".to_owned(), meta)].into(),
        extra: Map::new(),
    }
}

#[test]
fn targets_that_the_snapshot_does_not_list_are_refused() {
    let mut world = World::tuf();
    let mut snapshot = snapshot_of(&world, 1);
    snapshot.meta.clear();
    world.image.put_snapshot(&snapshot);
    world.refused_tuf("not-in-snapshot");
}

#[test]
fn targets_without_a_known_hash_are_refused_and_sha512_alone_is_enough() {
    let mut world = World::tuf();
    let raw = json!({ "length": 8, "hashes": { "md5": "00112233" } });
    let mut value = world.image.targets.to_value(Dialect::Tuf);
    value["targets"]["fw.bin"] = raw;
    let bytes = world.image.sign(value, &world.image.signers["targets"].clone());
    let mut snapshot = snapshot_of(&world, 1);
    snapshot.meta.insert("targets.json".to_owned(), FileMeta::of(1, &bytes));
    world.image.files.insert("1.targets.json".to_owned(), bytes);
    world.image.put_snapshot(&snapshot);
    world.refused_tuf("unverifiable-target");
    let hashes: Hashes = sha512_only();
    assert!(hashes.verify(b"") && !hashes.verify(b"x"));
    let target = Target::new(0, hashes);
    let mut world = World::tuf();
    world.image.targets.targets.insert("empty".to_owned(), target);
    world.image.publish();
    assert!(world.run_tuf(&["empty"]).unwrap().wanted["empty"].is_some());
}

fn sha512_only() -> Hashes {
    let digest = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                  47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    let mut world = World::tuf();
    let mut value = world.image.targets.to_value(Dialect::Tuf);
    value["targets"]["x"] = json!({ "length": 0, "hashes": { "sha512": digest } });
    let targets = updraft_tuf::Targets::from_value(Dialect::Tuf, value).unwrap();
    world.image.targets = targets;
    world.image.targets.targets["x"].hashes.clone()
}

#[test]
fn unknown_fields_are_kept_and_signed() {
    let mut world = World::tuf();
    world.image.targets.extra.insert("x-new".to_owned(), json!({ "ü": [1, "é"] }));
    let target = world.image.targets.targets.get_mut("fw.bin").unwrap();
    target.extra.insert("x-more".to_owned(), json!(true));
    world.image.publish();
    world.accepted_tuf();
    let bytes = world.image.file("targets.json");
    let text = String::from_utf8(bytes.clone()).unwrap().replace("x-more", "y-more");
    let meta = FileMeta::of(1, text.as_bytes());
    let mut snapshot = snapshot_of(&world, 2);
    snapshot.meta.insert("targets.json".to_owned(), meta);
    world.image.timestamp_version = 2;
    world.image.put_snapshot(&snapshot);
    world.image.files.insert("1.targets.json".to_owned(), text.into_bytes());
    world.refused_tuf("threshold");
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let read = updraft_tuf::Targets::from_value(Dialect::Tuf, value["signed"].clone()).unwrap();
    assert_eq!(read.to_value(Dialect::Tuf), value["signed"]);
}

#[test]
fn a_refusal_stays_and_nothing_untrusted_was_stored() {
    let mut world = World::tuf();
    world.accepted_tuf();
    let before = world.store.clone();
    world.image.signers.insert("timestamp".to_owned(), vec![key(77)]);
    world.image.advance();
    world.refused_tuf("threshold");
    assert_eq!(world.store, before);
}
