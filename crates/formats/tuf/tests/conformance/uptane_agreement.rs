//! Uptane: what the Director may say, and what it must agree on with the Image repository.

use crate::common::{World, director_target, earlier, image_target, key, later, stored};
use serde_json::{Map, json};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Hashes, Header, InstalledTarget, Key,
    Outcome, Payload as _, Refusal, Repository, RoleKeys, RoleName, Sign, TargetFormat, Targets,
    UptaneTarget, Verified,
};

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

// The Director's own rules.

fn director(change: impl FnOnce(&mut Targets)) -> Result<Outcome, Refusal> {
    let mut world = World::uptane();
    change(&mut world.director.targets);
    world.director.publish();
    let result = world.run();
    if result.is_err() {
        assert_eq!(stored(&world.store.director, &RoleName::Targets), None);
    }
    result
}

#[track_caller]
fn director_refused(name: &str, change: impl FnOnce(&mut Targets)) {
    let refusal = director(change).unwrap_err();
    assert_eq!(refusal.name(), name, "{refusal}");
    assert_eq!(refusal.repository, Repository::Director);
}

#[test]
fn director_targets_for_other_ecus_hardware_or_vehicles_are_refused_as_a_whole() {
    let insert = |path: &str, serial: &str, hardware_id: &str| {
        let target = director_target(b"firmware", serial, hardware_id);
        let path = path.to_owned();
        move |targets: &mut Targets| {
            targets.targets.insert(path, target);
        }
    };
    director_refused("wrong-ecu", insert("other.bin", "stranger", "hw-1"));
    director_refused("wrong-hardware-id", insert("other.bin", "second", "hw-1"));
    director_refused("duplicate-ecu", insert("other.bin", "primary", "hw-1"));
    director_refused("wrong-ecu", |targets| {
        targets.targets.get_mut("fw.bin").unwrap().custom = None;
    });
    director_refused("wrong-ecu", |targets| {
        targets.targets.get_mut("fw.bin").unwrap().custom = Some(json!({ "ecuIdentifiers": {} }));
    });
    director_refused("wrong-hardware-id", |targets| {
        let custom = json!({ "ecuIdentifiers": { "primary": {} } });
        targets.targets.get_mut("fw.bin").unwrap().custom = Some(custom);
    });
}

#[test]
fn a_director_may_not_delegate() {
    director_refused("director-delegation", |targets| {
        let signer = key(1);
        let id = signer.public_key().key_id(Dialect::Uptane);
        let known = Key::new(Dialect::Uptane, signer.public_key().clone());
        targets.delegations = Some(Delegations {
            keys: [(id.clone(), known)].into(),
            roles: vec![DelegatedRole::new(
                "evil",
                RoleKeys::new(vec![id], 1),
                DelegatedPaths::Patterns(vec!["*".to_owned()]),
            )],
            ..Delegations::empty()
        });
    });
}

#[test]
fn another_vehicles_empty_targets_cannot_be_replayed() {
    let mut world = World::uptane();
    world.director.targets.targets.clear();
    let custom = json!({ "vehicleId": "car-2" });
    world.director.targets.extra.insert("custom".to_owned(), custom);
    world.director.publish();
    world.options.vehicle_id = Some("car-1".to_owned());
    world.refused("wrong-vehicle");
    world.options.vehicle_id = Some("car-2".to_owned());
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
}

#[test]
fn other_content_under_an_installed_name_is_noticed() {
    let mut world = World::uptane();
    world.options.installed = vec![installed(b"what was installed")];
    world.refused("content-changed");
}

// Director and Image repository must agree.

#[track_caller]
fn image_refused(name: &str, change: impl FnOnce(&mut World)) {
    let mut world = World::uptane();
    change(&mut world);
    world.image.publish();
    world.director.publish();
    let refusal = world.run().unwrap_err();
    assert_eq!(refusal.name(), name, "{refusal}");
    assert_eq!(refusal.repository, Repository::Image);
    assert_eq!(refusal.subject, "target fw.bin");
}

#[test]
fn a_director_alone_cannot_install_anything() {
    let image = |change: fn(&mut World)| image_refused("director-image-mismatch", change);
    image(|world| world.image.targets.targets.clear());
    image(|world| {
        let other = image_target(b"firmwarX");
        world.image.targets.targets.insert("fw.bin".to_owned(), other);
    });
    image(|world| world.image.targets.targets.get_mut("fw.bin").unwrap().length = 7);
    image(|world| world.director.targets.targets.get_mut("fw.bin").unwrap().length = 9);
    image(|world| {
        let target = director_target(b"evil", "primary", "hw-1");
        world.director.targets.targets.insert("fw.bin".to_owned(), target);
    });
}

#[test]
fn the_image_repository_decides_for_which_hardware_a_target_is() {
    for custom in [json!({ "hardwareIds": ["hw-9"] }), json!({ "hardwareIds": [] }), json!({})] {
        image_refused("wrong-hardware-id", |world| {
            world.image.targets.targets.get_mut("fw.bin").unwrap().custom = Some(custom);
        });
    }
}

#[test]
fn release_counters_agree_and_never_go_down() {
    let set = |targets: &mut Targets, counter: u64| {
        let custom = targets.targets.get_mut("fw.bin").unwrap().custom.as_mut().unwrap();
        custom["releaseCounter"] = json!(counter);
    };
    image_refused("director-image-mismatch", |world| {
        set(&mut world.director.targets, 5);
        set(&mut world.image.targets, 6);
    });
    let older = |world: &mut World| {
        set(&mut world.image.targets, 6);
        let mut current = installed(b"x");
        current.filepath = "old.bin".to_owned();
        current.release_counter = Some(7);
        world.options.installed = vec![current];
    };
    image_refused("rollback", older);
}

#[test]
fn formats_and_places_come_from_the_signed_fields() {
    let mut world = World::uptane();
    let commit = "ab".repeat(32);
    let mut image = updraft_tuf::Target::new(0, Hashes::from_sha256(&commit));
    let mut director = image.clone();
    image.custom = Some(json!({ "hardwareIds": ["hw-1"], "uri": "https://image/x" }));
    let ecus = json!({ "primary": { "hardwareId": "hw-1" } });
    director.custom = Some(json!({ "ecuIdentifiers": ecus, "uri": "https://example.com/" }));
    world.image.targets.targets.insert("fw.bin".to_owned(), image);
    world.director.targets.targets.insert("fw.bin".to_owned(), director);
    world.image.publish();
    world.director.publish();
    let targets = update(&mut world);
    assert_eq!(targets[0].format, TargetFormat::Ostree);
    assert_eq!(targets[0].uri.as_deref(), Some("https://image/x"));
    assert_eq!(targets[0].hashes.sha256(), Some(commit.as_str()));
}

#[test]
fn several_ecus_are_updated_at_once() {
    let mut world = World::uptane();
    world.image.targets.targets.insert("second.bin".to_owned(), image_target(b"second"));
    let target = director_target(b"second", "second", "hw-2");
    world.director.targets.targets.insert("second.bin".to_owned(), target);
    world.director.publish();
    world.image.publish();
    let serials: Vec<_> = update(&mut world).iter().map(|t| t.ecu_serial.clone()).collect();
    assert_eq!(serials, ["primary", "second"]);
    world.options.installed = vec![installed(b"firmware")];
    let serials: Vec<_> = update(&mut world).iter().map(|t| t.ecu_serial.clone()).collect();
    assert_eq!(serials, ["second"]);
}

#[test]
fn delegated_image_targets_are_found_below_their_folder() {
    let mut world = World::uptane();
    let signer = key(1);
    let id = signer.public_key().key_id(Dialect::Uptane);
    let known = Key::new(Dialect::Uptane, signer.public_key().clone());
    let target = world.image.targets.targets.remove("fw.bin").unwrap();
    world.image.targets.delegations = Some(Delegations {
        keys: [(id.clone(), known)].into(),
        roles: vec![DelegatedRole::new(
            "team/a",
            RoleKeys::new(vec![id], 1),
            DelegatedPaths::Patterns(vec!["fw*".to_owned()]),
        )],
        ..Delegations::empty()
    });
    let mut delegated = Targets::empty(Header::new(Dialect::Uptane, 1, later()));
    delegated.targets.insert("fw.bin".to_owned(), target);
    world.image.delegated.insert("team/a".to_owned(), delegated);
    world.image.signers.insert("team/a".to_owned(), vec![signer]);
    world.image.publish();
    world.accepted();
    assert!(world.fetched.contains(&"image/delegations/team%2Fa.json".to_owned()));
    world.image.delegated.get_mut("team/a").unwrap().header.expires = earlier();
    world.image.publish();
    world.refused("expired");
}

#[test]
fn unknown_keys_and_custom_numbers_do_not_stop_a_device() {
    let mut world = World::uptane();
    let target = world.image.targets.targets.get_mut("fw.bin").unwrap();
    target.custom.as_mut().unwrap()["size"] = json!(1.5);
    target.custom.as_mut().unwrap()["name"] = json!("Größe\n\u{1}😀");
    world.image.publish();
    world.image.rotate(|server| {
        let mut value = server.root.to_value(Dialect::Uptane);
        value["keys"]["future"] = json!({ "keytype": "ML-DSA", "keyval": { "public": "00" } });
        server.root = updraft_tuf::Root::from_value(Dialect::Uptane, value).unwrap();
        let mut extra = Map::new();
        extra.insert("x-new".to_owned(), json!(null));
        server.root.extra = extra;
    });
    world.accepted();
}
