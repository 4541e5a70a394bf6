//! Secondaries: full verification with one's own ECU only, partial verification, and the Image
//! repository alone.

use crate::common::{World, director_target, earlier, image_target, key};
use serde_json::json;
use updraft_tuf::{
    Dialect, DirectorFiles, Ecu, InstalledTarget, OtherEcus, Outcome, RoleName, Verification,
};

/// The world of the ECU `second`, whose vehicle's targets are for `primary` as well.
fn secondary() -> World {
    let mut world = World::uptane();
    world.ecus.remove(0);
    world.options.other_ecus = OtherEcus::Ignore;
    let target = director_target(b"second", "second", "hw-2");
    world.director.targets.targets.insert("second.bin".to_owned(), target);
    world.director.publish();
    world.image.targets.targets.insert("second.bin".to_owned(), image_target(b"second"));
    world.image.publish();
    world
}

fn partial() -> World {
    let mut world = secondary();
    world.options.verification = Verification::Partial;
    world.options.director = DirectorFiles::RootAndTargets;
    world
}

#[track_caller]
fn takes_its_own(world: &mut World) {
    let Outcome::Update(targets) = world.run().unwrap() else { panic!("no update") };
    let paths: Vec<_> = targets.iter().map(|target| target.filepath.as_str()).collect();
    assert_eq!(paths, ["second.bin"]);
    assert!(targets[0].hashes.verify(b"second"));
}

#[test]
fn u_p5_a_secondary_that_knows_itself_only_does_full_verification() {
    let mut world = secondary();
    takes_its_own(&mut world);
    world.options.other_ecus = OtherEcus::Refuse;
    world.refused("wrong-ecu");
    // Others' ECUs are not its business, but no ECU is named twice, and its hardware is its own.
    let mut world = secondary();
    let twice = director_target(b"x", "primary", "hw-1");
    world.director.targets.targets.insert("x.bin".to_owned(), twice);
    world.director.publish();
    world.refused("duplicate-ecu");
    let mut world = secondary();
    let wrong = director_target(b"second", "second", "hw-1");
    world.director.targets.targets.insert("second.bin".to_owned(), wrong);
    world.director.publish();
    world.refused("wrong-hardware-id");
}

#[test]
fn u_pv_directors_root_and_targets_are_enough() {
    let mut world = partial();
    takes_its_own(&mut world);
    assert!(world.fetched.iter().all(|name| name.starts_with("director/")));
    assert_eq!(world.fetched, ["director/2.root.json", "director/targets.json"]);
    // With a snapshot at hand it is checked too.
    world.options.director = DirectorFiles::All;
    takes_its_own(&mut world);
}

#[test]
fn u_pv_directors_targets_are_checked() {
    let mut world = partial();
    world.director.signers.insert("targets".to_owned(), vec![key(99)]);
    world.director.publish();
    world.refused("threshold");
    let mut world = partial();
    world.director.targets.header.expires = earlier();
    world.director.publish();
    world.refused("expired");
    let mut world = partial();
    let old = world.director.file("targets.json");
    world.director.advance();
    takes_its_own(&mut world);
    world.director.files.insert("targets.json".to_owned(), old);
    world.refused("rollback");
    let mut world = partial();
    world.director.set_role("root", &[key(91)], 1);
    world.director.root.header.version = 2;
    world.director.put_root(&[key(91)]);
    world.refused("threshold");
    let mut world = partial();
    let target = world.director.targets.targets.get_mut("second.bin").unwrap();
    target.custom.as_mut().unwrap()["releaseCounter"] = json!(4);
    world.director.publish();
    world.options.installed = vec![InstalledTarget {
        ecu_serial: "second".to_owned(),
        filepath: "old.bin".to_owned(),
        hashes: updraft_tuf::Hashes::of(b"old"),
        release_counter: Some(5),
    }];
    world.refused("rollback");
}

#[test]
fn the_image_repository_alone_gives_the_newest_for_ones_hardware() {
    let mut world = World::uptane();
    let add = |world: &mut World, path: &str, version: &str, hardware: &str| {
        let mut target = image_target(path.as_bytes());
        target.custom = Some(json!({ "version": version, "hardwareIds": [hardware] }));
        world.image.targets.targets.insert(path.to_owned(), target);
    };
    world.image.targets.targets.clear();
    add(&mut world, "a", "1.9.0", "hw-1");
    add(&mut world, "b", "1.10.0", "hw-1");
    add(&mut world, "c", "1.10.0-rc1", "hw-2");
    add(&mut world, "d", "9", "hw-2");
    add(&mut world, "e", "10", "hw-2");
    add(&mut world, "f", "100", "hw-3");
    world.image.publish();
    let outcome = world.run_tuf(&[]).unwrap();
    let ecu =
        |hardware_id: &str| Ecu { serial: "s".to_owned(), hardware_id: hardware_id.to_owned() };
    let latest = |id: &str| outcome.latest_for(&ecu(id)).map(|target| target.filepath.clone());
    assert_eq!(latest("hw-1").as_deref(), Some("b"));
    assert_eq!(latest("hw-2").as_deref(), Some("e"));
    assert_eq!(latest("hw-9"), None);
    assert_eq!(world.store.image.get(&RoleName::Targets), Some(&*world.image.file("targets.json")));
    assert_eq!(world.image.dialect, Dialect::Uptane);
}
