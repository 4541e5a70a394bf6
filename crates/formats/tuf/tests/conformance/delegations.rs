//! The search through delegations, and what it refuses.

use crate::common::{ToyKey, World, earlier, image_target, key, later};
use serde_json::{Map, json};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Header, Key, RoleKeys, RoleName, Sign,
    SuccinctRoles, Targets, sha256_hex,
};

/// Delegates from `from` (`targets` or a delegated role) to `name`, which `signer` signs.
fn delegate(world: &mut World, from: &str, name: &str, signer: &ToyKey, pattern: &str) {
    let role = role(world, name, signer, pattern);
    let id = role.keys.key_ids[0].clone();
    let dialect = world.image.dialect;
    let delegations = delegations(world, from);
    delegations.keys.insert(id, Key::new(dialect, signer.public_key().clone()));
    delegations.roles.push(role);
    world.image.signers.insert(name.to_owned(), vec![signer.clone()]);
    let header = Header::new(dialect, 1, later());
    world.image.delegated.entry(name.to_owned()).or_insert_with(|| Targets::empty(header));
}

fn role(world: &World, name: &str, signer: &ToyKey, pattern: &str) -> DelegatedRole {
    let keys = RoleKeys::new(vec![signer.public_key().key_id(world.image.dialect)], 1);
    DelegatedRole::new(name, keys, DelegatedPaths::Patterns(vec![pattern.to_owned()]))
}

fn delegations<'a>(world: &'a mut World, from: &str) -> &'a mut Delegations {
    let targets = match from {
        "targets" => &mut world.image.targets,
        other => world.image.delegated.get_mut(other).unwrap(),
    };
    targets.delegations.get_or_insert_with(Delegations::empty)
}

fn add(world: &mut World, role: &str, path: &str, content: &[u8]) {
    let targets = &mut world.image.delegated.get_mut(role).unwrap().targets;
    targets.insert(path.to_owned(), image_target(content));
}

/// The content that the search ends at, or the name of the refusal.
fn search(world: &mut World, path: &str, contents: &[&str]) -> String {
    world.image.publish();
    world.store.image.remove(&RoleName::Timestamp);
    world.store.image.remove(&RoleName::Snapshot);
    match world.run_tuf(&[path]) {
        Ok(outcome) => match &outcome.wanted[path] {
            Some(target) => {
                let found = contents.iter().find(|text| target.hashes.verify(text.as_bytes()));
                (*found.unwrap()).to_owned()
            }
            None => "none".to_owned(),
        },
        Err(refusal) => refusal.name().to_owned(),
    }
}

#[test]
fn the_search_is_pre_order_and_lazy() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "*");
    delegate(&mut world, "a", "b", &key(2), "*");
    delegate(&mut world, "targets", "c", &key(3), "*");
    add(&mut world, "b", "x", b"from b");
    add(&mut world, "c", "x", b"from c");
    let contents = ["from b", "from c"];
    assert_eq!(search(&mut world, "x", &contents), "from b");
    assert!(!world.fetched.iter().any(|name| name.contains("c.json")));
    world.image.delegated.get_mut("b").unwrap().targets.clear();
    assert_eq!(search(&mut world, "x", &contents), "from c");
    assert_eq!(search(&mut world, "y", &contents), "none");
}

#[test]
fn delegated_files_are_kept_and_not_fetched_again() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "../a?", &key(1), "*");
    add(&mut world, "../a?", "x", b"1");
    world.image.publish();
    world.run_tuf(&["x"]).unwrap();
    assert!(world.fetched.contains(&"image/1...%2Fa%3F.json".to_owned()), "{:?}", world.fetched);
    world.run_tuf(&["x"]).unwrap();
    assert_eq!(world.fetched, ["image/2.root.json", "image/timestamp.json"]);
}

#[test]
fn a_terminating_role_ends_the_search_for_its_paths() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "x*");
    delegate(&mut world, "targets", "b", &key(2), "*");
    add(&mut world, "b", "x1", b"from b");
    add(&mut world, "b", "y1", b"from b");
    assert_eq!(search(&mut world, "x1", &["from b"]), "from b");
    delegations(&mut world, "targets").roles[0].terminating = true;
    assert_eq!(search(&mut world, "x1", &["from b"]), "none");
    assert_eq!(search(&mut world, "y1", &["from b"]), "from b");
}

#[test]
fn a_role_speaks_for_its_paths_only() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "dir/*.bin");
    for path in ["dir/fw.bin", "dir/sub/fw.bin", "fw2.bin"] {
        add(&mut world, "a", path, b"a");
    }
    assert_eq!(search(&mut world, "dir/fw.bin", &["a"]), "a");
    assert_eq!(search(&mut world, "dir/sub/fw.bin", &["a"]), "none");
    assert_eq!(search(&mut world, "fw2.bin", &["a"]), "none");
    let digest = sha256_hex(b"fw2.bin");
    let prefixes = vec![digest[..4].to_owned()];
    delegations(&mut world, "targets").roles[0].paths = DelegatedPaths::HashPrefixes(prefixes);
    assert_eq!(search(&mut world, "fw2.bin", &["a"]), "a");
    assert_eq!(search(&mut world, "dir/fw.bin", &["a"]), "none");
}

#[test]
fn hash_bins_are_found_by_name() {
    let mut world = World::tuf();
    let signer = key(1);
    let id = signer.public_key().key_id(Dialect::Tuf);
    let bins = SuccinctRoles {
        keys: RoleKeys::new(vec![id.clone()], 1),
        bit_length: 5,
        name_prefix: "bin".to_owned(),
    };
    let name = bins.role_for("x");
    let expect = u8::from_str_radix(&sha256_hex(b"x")[..2], 16).unwrap() >> 3;
    assert_eq!(name, format!("bin-{expect:02x}"));
    let key = Key::new(Dialect::Tuf, signer.public_key().clone());
    world.image.targets.delegations = Some(Delegations {
        keys: [(id, key)].into(),
        succinct: Some(bins),
        ..Delegations::empty()
    });
    let header = Header::new(Dialect::Tuf, 1, later());
    world.image.delegated.insert(name.clone(), Targets::empty(header));
    world.image.signers.insert(name.clone(), vec![signer]);
    add(&mut world, &name, "x", b"in a bin");
    assert_eq!(search(&mut world, "x", &["in a bin"]), "in a bin");
}

#[test]
fn cycles_end_and_long_ways_are_refused() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "*");
    delegate(&mut world, "a", "b", &key(2), "*");
    delegate(&mut world, "b", "a", &key(1), "*");
    assert_eq!(search(&mut world, "x", &[]), "none");
    let mut world = World::tuf();
    let mut from = "targets".to_owned();
    for index in 0..40 {
        let name = format!("role{index}");
        delegate(&mut world, &from, &name, &key(1), "*");
        from = name;
    }
    assert_eq!(search(&mut world, "x", &[]), "too-many-delegations");
}

#[test]
fn each_delegated_file_is_checked_as_strictly_as_a_top_level_one() {
    let with_a = || {
        let mut world = World::tuf();
        delegate(&mut world, "targets", "a", &key(1), "*");
        add(&mut world, "a", "x", b"a");
        world
    };
    let mut world = with_a();
    world.image.signers.insert("a".to_owned(), vec![key(9)]);
    assert_eq!(search(&mut world, "x", &["a"]), "threshold");

    let mut world = with_a();
    world.image.delegated.get_mut("a").unwrap().header.expires = earlier();
    assert_eq!(search(&mut world, "x", &["a"]), "expired");

    let mut world = with_a();
    world.image.delegated.clear();
    assert_eq!(search(&mut world, "x", &["a"]), "not-in-snapshot");

    let mut world = with_a();
    world.image.publish();
    world.image.files.remove("1.a.json");
    let refusal = world.run_tuf(&["x"]).unwrap_err();
    assert_eq!(refusal.name(), "missing-metadata");

    let mut world = with_a();
    world.image.publish();
    world.image.files.get_mut("1.a.json").unwrap().push(b' ');
    assert_eq!(world.run_tuf(&["x"]).unwrap_err().name(), "wrong-length");

    let mut world = with_a();
    world.image.detailed = false;
    world.image.publish();
    let old = world.image.file("1.a.json");
    world.image.delegated.get_mut("a").unwrap().header.version = 2;
    world.image.publish();
    world.image.files.insert("2.a.json".to_owned(), old);
    assert_eq!(world.run_tuf(&["x"]).unwrap_err().name(), "mix-and-match");

    let mut world = with_a();
    let stray = "00".parse().unwrap();
    delegations(&mut world, "targets").roles[0].keys.key_ids.push(stray);
    assert_eq!(search(&mut world, "x", &["a"]), "unknown-key");

    let mut world = with_a();
    world.image.delegated.get_mut("a").unwrap().header.version = 3;
    world.image.publish();
    world.run_tuf(&["x"]).unwrap();
    world.image.delegated.get_mut("a").unwrap().header.version = 2;
    world.image.snapshot_version = 2;
    world.image.timestamp_version = 2;
    world.image.publish();
    assert_eq!(world.run_tuf(&["x"]).unwrap_err().name(), "rollback");
}

#[test]
fn a_stored_role_is_verified_again_with_its_present_delegator() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "*");
    add(&mut world, "a", "x", b"a");
    assert_eq!(search(&mut world, "x", &["a"]), "a");
    // The delegator now trusts another key; the stored file of the old key must not do.
    let id = key(7).public_key().key_id(Dialect::Tuf);
    let trusted = Key::new(Dialect::Tuf, key(7).public_key().clone());
    let delegations = delegations(&mut world, "targets");
    delegations.keys.insert(id.clone(), trusted);
    delegations.roles[0].keys.key_ids = vec![id];
    world.image.advance();
    assert_eq!(world.run_tuf(&["x"]).unwrap_err().name(), "threshold");
}

#[test]
fn two_delegators_of_one_role_each_need_their_own_keys() {
    let mut world = World::tuf();
    delegate(&mut world, "targets", "a", &key(1), "one/*");
    delegate(&mut world, "targets", "b", &key(2), "two/*");
    delegate(&mut world, "a", "shared", &key(3), "*/*");
    delegate(&mut world, "b", "shared", &key(4), "*/*");
    world.image.signers.insert("shared".to_owned(), vec![key(3)]);
    add(&mut world, "shared", "one/x", b"1");
    add(&mut world, "shared", "two/x", b"2");
    world.image.publish();
    assert!(world.run_tuf(&["one/x"]).unwrap().wanted["one/x"].is_some());
    assert_eq!(world.run_tuf(&["one/x", "two/x"]).unwrap_err().name(), "threshold");
}

#[test]
fn malformed_delegations_are_refused() {
    for broken in [
        json!({ "keys": {}, "roles": [{ "name": "root", "keyids": [], "threshold": 1, "paths": [] }] }),
        json!({ "keys": {}, "roles": [{ "name": "", "keyids": [], "threshold": 1, "paths": [] }] }),
        json!({ "keys": {}, "roles": [{ "name": "a", "keyids": [], "threshold": 0, "paths": [] }] }),
        json!({ "keys": {}, "roles": [{ "name": "a", "keyids": [], "threshold": 1 }] }),
        json!({ "keys": {}, "roles": [
            { "name": "a", "keyids": [], "threshold": 1, "paths": [] },
            { "name": "a", "keyids": [], "threshold": 1, "paths": [] },
        ] }),
        json!({ "keys": {}, "succinct_roles": {
            "keyids": [], "threshold": 1, "bit_length": 33, "name_prefix": "b" } }),
        json!({ "keys": {} }),
        json!([]),
    ] {
        let mut world = World::tuf();
        let mut extra = Map::new();
        extra.insert("delegations".to_owned(), broken.clone());
        world.image.targets.extra = extra;
        world.image.publish();
        let refusal = world.run_tuf(&["fw.bin"]).unwrap_err();
        assert_eq!(refusal.name(), "malformed", "{broken}");
    }
}
