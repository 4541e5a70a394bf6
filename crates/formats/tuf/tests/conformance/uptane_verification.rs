//! Uptane 2.1.0 on verification: the rules of Primaries and of full verification by number.

use crate::common::{ToyVerifier, World, director_target, earlier, image_target, key, later};
use serde_json::json;
use updraft_tuf::{
    FileMeta, Hashes, InstalledTarget, Outcome, Repository, RoleName, Target, TrustedMetadata,
    UptaneUpdater,
};

const BOTH: [Repository; 2] = [Repository::Director, Repository::Image];

fn installed(path: &str, content: &[u8], counter: Option<u64>) -> InstalledTarget {
    InstalledTarget {
        ecu_serial: "primary".to_owned(),
        filepath: path.to_owned(),
        hashes: Hashes::of(content),
        release_counter: counter,
    }
}

/// A refusal, after which the trusted files of the role are what they were.
#[track_caller]
fn refused(repository: Repository, name: &str, change: impl Fn(&mut crate::common::Server)) {
    let mut world = World::uptane();
    world.accepted();
    change(world.server(repository));
    let before = world.store.clone();
    let refusal = world.run().unwrap_err();
    assert_eq!((refusal.name(), refusal.repository), (name, repository), "{refusal}");
    let targets = |store: &TrustedMetadata| {
        store.files(repository).get(&RoleName::Targets).map(<[u8]>::to_vec)
    };
    assert_eq!(targets(&world.store), targets(&before));
}

#[test]
fn u_e2_without_provisioned_metadata_nothing_is_trusted() {
    for repository in BOTH {
        let mut world = World::uptane();
        *world.store.files_mut(repository) = updraft_tuf::RoleFiles::new();
        world.refused("no-trusted-root");
    }
}

#[test]
fn u_p4_all_targets_of_all_ecus_are_verified_and_every_hash_counts() {
    let mut world = World::uptane();
    let target = director_target(b"second", "second", "hw-2");
    world.director.targets.targets.insert("second.bin".to_owned(), target);
    world.director.publish();
    // One of two does not agree: none is given out.
    world.refused("director-image-mismatch");
    world.image.targets.targets.insert("second.bin".to_owned(), image_target(b"second"));
    world.image.advance();
    let Outcome::Update(targets) = world.run().unwrap() else { panic!("no update") };
    assert_eq!(targets.len(), 2);
    // Two hashes, of which one is wrong.
    let mut value = json!({ "length": 8, "hashes": {
        "sha256": updraft_tuf::sha256_hex(b"firmware"), "sha512": "00".repeat(64) } });
    let read = |value: &serde_json::Value| {
        use updraft_tuf::Payload as _;
        let mut targets = World::uptane().image.targets.to_value(updraft_tuf::Dialect::Uptane);
        targets["targets"]["x"] = value.clone();
        let read = updraft_tuf::Targets::from_value(updraft_tuf::Dialect::Uptane, targets).unwrap();
        read.targets["x"].hashes.clone()
    };
    assert!(!read(&value).verify(b"firmware"));
    value["hashes"]["sha512"] = json!("00".repeat(63));
    let digest = "sha512 of another length is no digest";
    let targets = json!({ "_type": "Targets", "version": 1, "expires": "2031-01-01T00:00:00Z",
        "targets": { "x": value } });
    use updraft_tuf::Payload as _;
    let read = updraft_tuf::Targets::from_value(updraft_tuf::Dialect::Uptane, targets);
    assert!(read.is_err(), "{digest}");
}

#[test]
fn u_i1_an_older_release_of_an_image_is_not_installed() {
    let with_counter = |counter: u64| {
        let mut world = World::uptane();
        let target = world.image.targets.targets.get_mut("fw.bin").unwrap();
        target.custom.as_mut().unwrap()["releaseCounter"] = json!(counter);
        world.image.publish();
        world.options.installed = vec![installed("old.bin", b"old", Some(5))];
        world
    };
    with_counter(5).accepted();
    with_counter(6).accepted();
    with_counter(4).refused("rollback");
    // An image without a counter is not newer than one with it.
    let mut world = World::uptane();
    world.options.installed = vec![installed("old.bin", b"old", Some(5))];
    world.refused("rollback");
}

#[test]
fn u_f2_the_directors_root_comes_first() {
    let mut world = World::uptane();
    world.accepted();
    assert_eq!(world.fetched[0], "director/2.root.json");
    refused(Repository::Director, "threshold", |server| {
        server.root.header.version = 2;
        server.put_root(&[key(99)]);
    });
}

#[test]
fn u_f3_the_directors_timestamp_is_checked() {
    refused(Repository::Director, "threshold", |server| {
        server.signers.insert("timestamp".to_owned(), vec![key(99)]);
        server.publish();
    });
}

#[test]
fn u_f4_an_unchanged_directors_snapshot_ends_the_run_early() {
    let mut world = World::uptane();
    world.options.installed = vec![installed("fw.bin", b"firmware", None)];
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    assert_eq!(world.fetched, ["director/2.root.json", "director/timestamp.json"]);
    refused(Repository::Director, "mix-and-match", |server| {
        let bytes = server.file("snapshot.json");
        server.timestamp_version = 2;
        server.put_timestamp(FileMeta::of(2, &bytes));
    });
}

#[test]
fn u_f5_the_directors_targets_are_checked() {
    refused(Repository::Director, "threshold", |server| {
        server.signers.insert("targets".to_owned(), vec![key(13)]);
        server.advance();
    });
}

#[test]
fn u_f6_without_new_targets_the_image_repository_is_not_asked() {
    let mut world = World::uptane();
    world.director.targets.targets.clear();
    world.director.publish();
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    assert!(world.fetched.iter().all(|name| name.starts_with("director/")));
}

#[test]
fn u_f7_the_image_repositorys_root_is_checked() {
    refused(Repository::Image, "threshold", |server| {
        server.root.header.version = 2;
        server.put_root(&[key(10)]);
    });
}

#[test]
fn u_f8_the_image_repositorys_timestamp_is_checked() {
    refused(Repository::Image, "expired", |server| {
        server.timestamp_expires = earlier();
        server.timestamp_version = 2;
        server.publish();
    });
}

#[test]
fn u_f9_an_unchanged_image_snapshot_is_not_fetched_again() {
    let mut world = World::uptane();
    world.accepted();
    world.accepted();
    let image: Vec<_> = world.fetched.iter().filter(|name| name.starts_with("image/")).collect();
    assert_eq!(image, ["image/2.root.json", "image/timestamp.json"]);
}

#[test]
fn u_f10_the_image_repositorys_targets_are_checked() {
    refused(Repository::Image, "expired", |server| {
        server.targets.header.expires = earlier();
        server.advance();
    });
}

#[test]
fn u_f11_every_assigned_image_is_one_of_the_image_repository() {
    let world = |image: Target, director: Target| {
        let mut world = World::uptane();
        world.image.targets.targets.insert("fw.bin".to_owned(), image);
        world.director.targets.targets.insert("fw.bin".to_owned(), director);
        world.image.publish();
        world.director.publish();
        world
    };
    let director = |content: &[u8]| director_target(content, "primary", "hw-1");
    world(image_target(b"firmware"), director(b"firmware")).accepted();
    world(image_target(b"firmware"), director(b"firmwarX")).refused("director-image-mismatch");
    let mut longer = director(b"firmware");
    longer.length += 1;
    world(image_target(b"firmware"), longer).refused("director-image-mismatch");
    let mut other_hardware = image_target(b"firmware");
    other_hardware.custom = Some(json!({ "hardwareIds": ["hw-2"] }));
    world(other_hardware, director(b"firmware")).refused("wrong-hardware-id");
    // The exact name, not one that a pattern or a normal form takes for it.
    let mut other = World::uptane();
    let target = other.image.targets.targets.remove("fw.bin").unwrap();
    for name in ["./fw.bin", "FW.bin", "fw.bin ", "fw%2Ebin"] {
        other.image.targets.targets.insert(name.to_owned(), target.clone());
    }
    other.image.publish();
    other.refused("director-image-mismatch");
}

#[test]
fn u_f12_a_refusal_names_the_attack_the_repository_and_the_file() {
    let mut world = World::uptane();
    world.image.timestamp_expires = earlier();
    world.image.publish();
    let refusal = world.run().unwrap_err();
    assert_eq!(refusal.subject, "timestamp.json");
    let text = refusal.to_string();
    assert!(text.contains("image repository") && text.contains("(expired)"), "{text}");
}

#[test]
fn u_r_roots_go_one_by_one_with_both_thresholds_and_forget_rotated_files() {
    for repository in BOTH {
        let mut world = World::uptane();
        for seed in 100..140 {
            world.server(repository).rotate(|server| server.set_role("root", &[key(seed)], 1));
        }
        world.accepted();
        (world.server(repository).timestamp_version, world.server(repository).snapshot_version) =
            (1_000, 1_000);
        world.server(repository).publish();
        world.accepted();
        (world.server(repository).timestamp_version, world.server(repository).snapshot_version) =
            (2, 2);
        world.server(repository).publish();
        world.refused("rollback");
        world.server(repository).rotate(|server| server.set_role("timestamp", &[key(90)], 1));
        world.server(repository).publish();
        world.accepted();
        for version in [1, 3] {
            refused(repository, "root-version", |server| {
                let mut root = server.root.clone();
                root.header.version = version;
                let bytes = server.signed("root", &root);
                server.files.insert("2.root.json".to_owned(), bytes);
            });
        }
        refused(repository, "expired", |server| {
            server.rotate(|server| server.root.header.expires = earlier());
        });
    }
}

#[test]
fn u_t_a_timestamp_is_bounded_signed_current_and_never_lower() {
    for repository in BOTH {
        refused(repository, "endless-data", |server| {
            server.files.insert("timestamp.json".to_owned(), vec![b' '; (64 << 10) + 1]);
        });
        refused(repository, "threshold", |server| {
            server.signers.insert("timestamp".to_owned(), vec![]);
            server.publish();
        });
        refused(repository, "expired", |server| {
            server.timestamp_expires = earlier();
            server.publish();
        });
        let mut world = World::uptane();
        let old = world.server(repository).files.clone();
        world.server(repository).advance();
        world.accepted();
        world.server(repository).files = old;
        world.refused("rollback");
    }
}

#[test]
fn u_n_a_snapshot_is_the_listed_one_and_lowers_and_drops_nothing() {
    for repository in BOTH {
        refused(repository, "threshold", |server| {
            server.signers.insert("snapshot".to_owned(), vec![key(99)]);
            server.advance();
        });
        refused(repository, "expired", |server| {
            server.snapshot_expires = earlier();
            server.advance();
        });
        refused(repository, "wrong-hash", |server| {
            server.advance();
            let bytes = server.files.get_mut("snapshot.json").unwrap();
            let at = bytes.windows(4).position(|four| four == b"2031").unwrap();
            bytes[at + 3] = b'2';
        });
        refused(repository, "rollback", |server| {
            let bytes = server.file("targets.json");
            let snapshot = updraft_tuf::Snapshot {
                header: updraft_tuf::Header::new(updraft_tuf::Dialect::Uptane, 2, later()),
                meta: [("other.json".to_owned(), FileMeta::of(1, &bytes))].into(),
                extra: serde_json::Map::new(),
            };
            server.timestamp_version = 2;
            server.put_snapshot(&snapshot);
        });
    }
}

#[test]
fn u_g_targets_are_the_listed_ones_signed_current_and_never_lower() {
    for repository in BOTH {
        refused(repository, "mix-and-match", |server| {
            server.detailed = false;
            let old = server.file("targets.json");
            server.advance();
            server.put("targets", 2, old);
        });
        refused(repository, "endless-data", |server| {
            server.detailed = false;
            server.advance();
            server.put("targets", 2, vec![b' '; (8 << 20) + 1]);
        });
        let mut world = World::uptane();
        let old = world.server(repository).clone();
        world.server(repository).advance();
        world.accepted();
        let server = world.server(repository);
        server.targets = old.targets;
        (server.snapshot_version, server.timestamp_version) = (3, 3);
        server.publish();
        world.refused("rollback");
    }
    let ecus = |serial: &str, hardware_id: &str, name: &str| {
        refused(Repository::Director, name, |server| {
            let target = director_target(b"firmware", serial, hardware_id);
            server.targets.targets.insert("other.bin".to_owned(), target);
            server.advance();
        });
    };
    ecus("primary", "hw-1", "duplicate-ecu");
    ecus("stranger", "hw-1", "wrong-ecu");
    ecus("second", "hw-1", "wrong-hardware-id");
}

#[test]
fn u_e1_metadata_is_verified_again_before_an_installation() {
    let mut world = World::uptane();
    world.accepted();
    let verify = |world: &World, now| {
        let (store, options) = (&world.store, &world.options);
        UptaneUpdater::verify_stored(store, &world.ecus, now, options, ToyVerifier)
    };
    assert!(matches!(verify(&world, world.now).unwrap(), Outcome::Update(_)));
    assert_eq!(verify(&world, later()).unwrap_err().name(), "expired");
    let mut broken = world.store.image.get(&RoleName::Targets).unwrap().to_vec();
    let at = broken.windows(6).position(|six| six == b"fw.bin").unwrap();
    broken[at] = b'g';
    world.store.image.insert(RoleName::Targets, broken);
    assert!(verify(&world, world.now).is_err());
}
