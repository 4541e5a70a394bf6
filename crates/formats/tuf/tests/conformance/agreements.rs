//! Delegations to roles that must agree (TAP 3), and to roles for some hardware.

use crate::common::{World, image_target, key, later};
use serde_json::json;
use updraft_tuf::{
    Agreement, DelegatedPaths, DelegatedRole, Delegations, Dialect, Header, Key, Payload as _,
    RoleKeys, Sign, Target, Targets,
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A repository whose top-level targets delegate `x*` to four roles, of which `minimum` must
/// agree, and after them everything to `last`.
fn world(dialect: Dialect, minimum: u64, terminating: bool) -> World {
    let mut world = match dialect {
        Dialect::Tuf => World::tuf(),
        Dialect::Uptane => World::uptane(),
    };
    let mut delegations = Delegations::empty();
    let mut roles = Vec::new();
    for (seed, name) in (100..).zip(NAMES.into_iter().chain(["last"])) {
        let id = key(seed).public_key().key_id(dialect);
        let public = Key::new(dialect, key(seed).public_key().clone());
        delegations.keys.insert(id.clone(), public);
        roles.push((name.to_owned(), RoleKeys::new(vec![id], 1)));
        world.image.signers.insert(name.to_owned(), vec![key(seed)]);
        let empty = Targets::empty(Header::new(dialect, 1, later()));
        world.image.delegated.insert(name.to_owned(), empty);
    }
    let (last, last_keys) = roles.pop().unwrap();
    let pattern = |glob: &str| DelegatedPaths::Patterns(vec![glob.to_owned()]);
    let agreement = Agreement { minimum, roles };
    let mut several = DelegatedRole::multi_role("several", agreement, pattern("x*"));
    several.terminating = terminating;
    delegations.roles.push(several);
    delegations.roles.push(DelegatedRole::new(&last, last_keys, pattern("*")));
    world.image.targets.delegations = Some(delegations);
    world
}

fn list(world: &mut World, role: &str, content: &str) {
    let targets = &mut world.image.delegated.get_mut(role).unwrap().targets;
    targets.insert("x".to_owned(), image_target(content.as_bytes()));
}

/// The content that the search ends at, or the name of the refusal.
fn search(world: &mut World) -> String {
    world.image.publish();
    world.store.image =
        [(updraft_tuf::RoleName::Root, world.image.root_bytes())].into_iter().collect();
    match world.run_tuf(&["x"]) {
        Ok(outcome) => outcome.wanted["x"].as_ref().map_or("none".to_owned(), |target| {
            let found = ["one", "two", "last"].into_iter();
            found.clone().find(|text| target.hashes.verify(text.as_bytes())).unwrap().to_owned()
        }),
        Err(refusal) => refusal.name().to_owned(),
    }
}

#[test]
fn u_d_enough_roles_that_agree_speak_for_a_target() {
    let mut world = world(Dialect::Tuf, 2, false);
    list(&mut world, "b", "one");
    list(&mut world, "last", "last");
    assert_eq!(search(&mut world), "last", "one role is not enough");
    list(&mut world, "d", "one");
    assert_eq!(search(&mut world), "one");
    list(&mut world, "a", "two");
    assert_eq!(search(&mut world), "one");
}

#[test]
fn u_d_the_earliest_role_of_those_that_agree_wins() {
    let mut world = world(Dialect::Tuf, 2, false);
    for (role, content) in NAMES.into_iter().zip(["one", "two", "two", "one"]) {
        list(&mut world, role, content);
    }
    assert_eq!(search(&mut world), "one");
    // Custom fields may differ, and the earliest role's count.
    let custom = |world: &mut World, role: &str, custom| {
        let targets = &mut world.image.delegated.get_mut(role).unwrap().targets;
        targets.get_mut("x").unwrap().custom = Some(custom);
    };
    custom(&mut world, "a", json!({ "from": "a" }));
    custom(&mut world, "d", json!({ "from": "d" }));
    assert_eq!(search(&mut world), "one");
    let outcome = world.run_tuf(&["x"]).unwrap();
    assert_eq!(outcome.wanted["x"].as_ref().unwrap().custom, Some(json!({ "from": "a" })));
    // What must match must match here too.
    custom(&mut world, "a", json!({ "shallMatch": 1 }));
    assert_eq!(search(&mut world), "two");
}

#[test]
fn u_d_discord_ends_a_terminating_delegation_with_an_error() {
    let mut terminating = world(Dialect::Tuf, 3, true);
    for (role, content) in NAMES.into_iter().zip(["one", "two", "two", "one"]) {
        list(&mut terminating, role, content);
    }
    list(&mut terminating, "last", "last");
    assert_eq!(search(&mut terminating), "no-agreement");
    // Silence is no discord: nothing is there, and nobody else is asked.
    let mut silent = world(Dialect::Tuf, 3, true);
    list(&mut silent, "last", "last");
    assert_eq!(search(&mut silent), "none");
    let mut silent = world(Dialect::Tuf, 3, false);
    list(&mut silent, "last", "last");
    assert_eq!(search(&mut silent), "last");
}

#[test]
fn u_d_a_role_that_is_withheld_or_forged_decides_nothing() {
    let complete = || {
        let mut world = world(Dialect::Tuf, 2, false);
        for (role, content) in NAMES.into_iter().zip(["one", "two", "two", "one"]) {
            list(&mut world, role, content);
        }
        world
    };
    let mut world = complete();
    world.image.publish();
    world.image.files.retain(|name, _| !name.ends_with("a.json"));
    assert_eq!(world.run_tuf(&["x"]).unwrap_err().name(), "missing-metadata");
    let mut world = complete();
    world.image.signers.insert("a".to_owned(), vec![key(101)]);
    assert_eq!(search(&mut world), "threshold");
}

#[test]
fn a_role_of_an_agreement_may_delegate_further_and_circles_end() {
    let mut world = world(Dialect::Tuf, 2, false);
    list(&mut world, "a", "one");
    let id = key(110).public_key().key_id(Dialect::Tuf);
    let public = Key::new(Dialect::Tuf, key(110).public_key().clone());
    let keys = RoleKeys::new(vec![id.clone()], 1);
    let paths = DelegatedPaths::Patterns(vec!["*".to_owned()]);
    let mut sub = Delegations::empty();
    sub.keys.insert(id, public);
    sub.roles.push(DelegatedRole::new("sub", keys, paths));
    world.image.delegated.get_mut("b").unwrap().delegations = Some(sub);
    let mut below = Targets::empty(Header::new(Dialect::Tuf, 1, later()));
    below.targets.insert("x".to_owned(), image_target(b"one"));
    // And back to where it came from.
    below.delegations.clone_from(&world.image.targets.delegations);
    world.image.delegated.insert("sub".to_owned(), below);
    world.image.signers.insert("sub".to_owned(), vec![key(110)]);
    assert_eq!(search(&mut world), "one");
    world.image.delegated.get_mut("sub").unwrap().targets.clear();
    let end = search(&mut world);
    assert!(end == "none" || end == "too-many-delegations", "{end}");
}

#[test]
fn u_m10_delegations_read_back_as_they_were_written_and_nonsense_is_refused() {
    let world = world(Dialect::Uptane, 2, true);
    let mut targets = world.image.targets.clone();
    let delegations = targets.delegations.as_mut().unwrap();
    delegations.roles[1].hardware_ids = Some(vec!["hw-1".to_owned()]);
    let value = targets.to_value(Dialect::Uptane);
    assert_eq!(Targets::from_value(Dialect::Uptane, value.clone()).unwrap(), targets);
    let entry = &value["delegations"]["roles"][0];
    assert_eq!(entry["min_roles_in_agreement"], 2);
    assert_eq!(entry["roleinfo"][1]["rolename"], "b");
    let broken = |change: fn(&mut serde_json::Value)| {
        let mut value = value.clone();
        change(&mut value["delegations"]["roles"]);
        Targets::from_value(Dialect::Uptane, value).unwrap_err().name()
    };
    assert_eq!(broken(|roles| roles[0]["min_roles_in_agreement"] = json!(0)), "malformed");
    assert_eq!(broken(|roles| roles[0]["min_roles_in_agreement"] = json!(5)), "malformed");
    assert_eq!(broken(|roles| roles[0]["roleinfo"] = json!([])), "malformed");
    assert_eq!(broken(|roles| roles[0]["roleinfo"][1]["rolename"] = json!("a")), "malformed");
    assert_eq!(broken(|roles| roles[0]["roleinfo"][1]["rolename"] = json!("root")), "malformed");
    assert_eq!(broken(|roles| roles[0]["roleinfo"][1]["threshold"] = json!(0)), "malformed");
    assert_eq!(broken(|roles| roles[0]["roleinfo"][1]["keyids"] = json!(["00"])), "unknown-key");
    // One role with two sets of keys would be two roles with one file.
    let two_sets = |roles: &mut serde_json::Value| {
        roles[1]["name"] = json!("a");
    };
    assert_eq!(broken(two_sets), "malformed");
}

#[test]
fn u_d_a_delegation_speaks_for_its_hardware_only() {
    let mut world = World::uptane();
    world.delegate_to_team();
    world.accepted();
    let limit = |world: &mut World, ids: &[&str]| {
        let delegations = world.image.targets.delegations.as_mut().unwrap();
        delegations.roles[0].hardware_ids = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        world.image.advance();
    };
    limit(&mut world, &["hw-1", "hw-7"]);
    world.accepted();
    limit(&mut world, &["hw-2"]);
    world.refused("director-image-mismatch");
    limit(&mut world, &[]);
    world.refused("director-image-mismatch");
    // A terminating delegation for other hardware does not end the search.
    let delegations = world.image.targets.delegations.as_mut().unwrap();
    delegations.roles[0].terminating = true;
    let mut second = delegations.roles[0].clone();
    (second.name, second.hardware_ids) = ("second".to_owned(), None);
    delegations.roles.push(second);
    let mut targets = Targets::empty(Header::new(Dialect::Uptane, 1, later()));
    let target: Target = image_target(b"firmware");
    targets.targets.insert("fw.bin".to_owned(), target);
    world.image.delegated.insert("second".to_owned(), targets);
    world.image.signers.insert("second".to_owned(), vec![key(60)]);
    world.image.advance();
    world.accepted();
}
