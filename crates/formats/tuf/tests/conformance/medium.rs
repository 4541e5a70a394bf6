//! Updates from a medium: offline snapshot and offline updates of the Director, and the Image
//! repository's files without a timestamp.

use std::collections::BTreeMap;

use crate::common::{ToyVerifier, World, earlier, image_target, key, later, stored};
use serde_json::{Map, json};
use updraft_tuf::{
    Dialect, FileMeta, Header, OfflineSnapshot, OfflineUpdates, Outcome, Payload as _, Refusal,
    RoleName, Snapshot, Target, Targets, TufOutcome, TufUpdater, UptaneUpdater, Verification,
};

/// A Director that also signs for media, and one medium `box` with `fw.bin` for hw-1.
struct Media {
    world: World,
    snapshot: Snapshot,
    updates: Targets,
}

fn offline_target(content: &[u8], hardware: &[&str]) -> Target {
    let mut target = image_target(content);
    target.custom = Some(json!({ "hardwareIds": hardware }));
    target
}

impl Media {
    fn new() -> Self {
        let mut world = World::uptane();
        world.director.rotate(|server| {
            server.set_role("offline-snapshot", &[key(40)], 1);
            server.set_role("offline-updates", &[key(41)], 1);
        });
        // A medium has neither of these.
        world.director.files.remove("timestamp.json");
        world.image.files.remove("timestamp.json");
        let header = |version| Header::new(Dialect::Uptane, version, later());
        let mut updates = Targets::empty(header(1));
        updates.targets.insert("fw.bin".to_owned(), offline_target(b"firmware", &["hw-1"]));
        let snapshot = Snapshot { header: header(1), meta: BTreeMap::new(), extra: Map::new() };
        let mut media = Self { world, snapshot, updates };
        media.publish();
        media
    }

    fn publish(&mut self) {
        let director = &mut self.world.director;
        let bytes = director.signed("offline-updates", &OfflineUpdates(self.updates.clone()));
        let meta = FileMeta::of(self.updates.header.version, &bytes);
        director.files.insert("box.json".to_owned(), bytes);
        self.snapshot.meta.insert("box.json".to_owned(), meta);
        let other = FileMeta::of(3, b"another medium's");
        self.snapshot.meta.entry("another.json".to_owned()).or_insert(other);
        self.publish_snapshot();
    }

    fn publish_snapshot(&mut self) {
        let director = &mut self.world.director;
        let bytes = director.signed("offline-snapshot", &OfflineSnapshot(self.snapshot.clone()));
        director.files.insert("offline-snapshot.json".to_owned(), bytes);
    }

    fn run(&mut self) -> Result<Outcome, Refusal> {
        self.run_until(usize::MAX).unwrap()
    }

    /// `None` when the power was cut before the store changed once more.
    fn run_until(&mut self, crash_after: usize) -> Option<Result<Outcome, Refusal>> {
        let world = &mut self.world;
        let (trusted, ecus, options) =
            (world.store.clone(), world.ecus.clone(), world.options.clone());
        let mut updater =
            UptaneUpdater::from_medium(trusted, &ecus, world.now, &options, ToyVerifier);
        world.drive(
            |reply| {
                match reply {
                    Some(Some(bytes)) => updater.received(&bytes)?,
                    Some(None) => updater.absent()?,
                    None => {}
                }
                updater.next()
            },
            crash_after,
        )
    }

    #[track_caller]
    fn accepted(&mut self) {
        let Outcome::Update(targets) = self.run().unwrap() else { panic!("no update") };
        assert_eq!(targets[0].filepath, "fw.bin");
        assert_eq!(targets[0].ecu_serial, "primary");
    }

    #[track_caller]
    fn refused(&mut self, name: &str) {
        let refusal = self.run().map(drop).unwrap_err();
        assert_eq!(refusal.name(), name, "{refusal}");
    }
}

#[test]
fn a_medium_updates_a_device_without_a_network() {
    let mut media = Media::new();
    let Outcome::Update(targets) = media.run().unwrap() else { panic!("no update") };
    assert_eq!(targets.len(), 1);
    assert_eq!((&*targets[0].filepath, &*targets[0].ecu_serial), ("fw.bin", "primary"));
    let digest = media.snapshot.meta["box.json"].hashes.clone().unwrap();
    let tag = &digest.sha256().unwrap()[..12];
    let id = format!("urn:tdx-ota:lockbox:box:1:{tag}");
    assert_eq!(targets[0].correlation_id, Some(id));
    let expect = [
        "director/2.root.json",
        "director/3.root.json",
        "director/offline-snapshot.json",
        "director/another.json",
        "director/box.json",
        "image/2.root.json",
        "image/snapshot.json",
        "image/targets.json",
    ];
    assert_eq!(media.world.fetched, expect);
    let kept = media.world.director.file("box.json");
    assert_eq!(stored(&media.world.store.director, &RoleName::OfflineUpdates), Some(kept));
}

#[test]
fn what_came_from_a_medium_is_verified_again_before_it_is_installed() {
    let mut media = Media::new();
    let fresh = media.run().unwrap();
    let world = &media.world;
    let verify = |now| {
        let (store, options) = (&world.store, &world.options);
        UptaneUpdater::verify_stored_medium(store, &world.ecus, now, options, ToyVerifier)
    };
    assert_eq!(verify(world.now).unwrap(), fresh);
    assert_eq!(verify(later()).unwrap_err().name(), "expired");
}

#[test]
fn each_file_of_a_medium_is_checked() {
    let mut media = Media::new();
    media.snapshot.header.expires = earlier();
    media.publish();
    media.refused("expired");
    let mut media = Media::new();
    media.updates.header.expires = earlier();
    media.publish();
    media.refused("expired");
    for role in ["offline-snapshot", "offline-updates"] {
        for other in [key(99), key(10)] {
            let mut media = Media::new();
            media.world.director.signers.insert(role.to_owned(), vec![other]);
            media.publish();
            media.refused("threshold");
        }
    }
    let mut media = Media::new();
    media.world.director.files.get_mut("box.json").unwrap().push(b'}');
    media.refused("malformed");
    let mut media = Media::new();
    let targets = media.world.director.signed("offline-updates", &media.updates.clone());
    media.snapshot.meta.insert("box.json".to_owned(), FileMeta::of(1, &targets));
    media.world.director.files.insert("box.json".to_owned(), targets);
    media.publish_snapshot();
    media.refused("wrong-role-type");
    let mut media = Media::new();
    media.world.director.files.remove("box.json");
    media.refused("missing-metadata");
    let mut media = Media::new();
    media.world.image.snapshot_expires = earlier();
    media.world.image.publish();
    media.refused("expired");
    let mut media = Media::new();
    media.world.image.signers.insert("snapshot".to_owned(), vec![key(99)]);
    media.world.image.publish();
    media.refused("threshold");
    let mut media = Media::new();
    media.world.image.targets.targets.clear();
    media.world.image.publish();
    media.refused("director-image-mismatch");
    // The keys for media are not those for the network, and the other way round.
    let mut media = Media::new();
    let world = &mut media.world;
    world.director.signers.insert("timestamp".to_owned(), vec![key(40)]);
    world.director.publish();
    world.image.publish();
    world.refused("threshold");
}

#[test]
fn a_root_that_names_no_keys_for_media_allows_none() {
    let mut media = Media::new();
    let root = &mut media.world.director;
    root.rotate(|server| {
        server.root.roles.remove("offline-snapshot");
    });
    media.refused("malformed");
}

#[test]
fn an_old_medium_works_while_it_is_listed_and_brings_nothing_back() {
    let mut media = Media::new();
    media.accepted();
    let old = (media.world.director.clone(), media.world.image.clone());
    // Another medium with a newer snapshot, in which this one is still current.
    media.snapshot.header.version = 2;
    media.publish();
    media.world.image.advance();
    media.world.image.files.remove("timestamp.json");
    media.accepted();
    (media.world.director, media.world.image) = old.clone();
    media.accepted();
    // Its content was replaced since.
    media.updates.header.version = 2;
    media.updates.targets.insert("fw.bin".to_owned(), offline_target(b"newer", &["hw-1"]));
    let target = image_target(b"newer");
    media.world.image.targets.targets.insert("fw.bin".to_owned(), target);
    media.world.image.targets.header.version = 2;
    media.world.image.snapshot_version = 2;
    media.world.image.advance();
    media.snapshot.header.version = 3;
    media.publish();
    media.accepted();
    let before = media.world.store.clone();
    (media.world.director, media.world.image) = old;
    let name = media.run().unwrap_err().name();
    assert!(["wrong-hash", "wrong-length", "mix-and-match"].contains(&name), "{name}");
    assert_eq!(media.world.store, before);
}

#[test]
fn no_entry_of_an_offline_snapshot_goes_back_and_others_may_come_and_go() {
    let mut media = Media::new();
    media.accepted();
    media.snapshot.header.version = 2;
    media.snapshot.meta.get_mut("another.json").unwrap().version = 2;
    media.publish();
    media.refused("rollback");
    media.snapshot.meta.remove("another.json");
    media.publish_snapshot();
    media.accepted();
}

#[test]
fn a_target_of_a_medium_is_for_hardware_and_each_ecu_gets_one() {
    let mut media = Media::new();
    media.updates.targets.insert("fw.bin".to_owned(), offline_target(b"firmware", &["hw-9"]));
    media.publish();
    assert_eq!(media.run().unwrap(), Outcome::UpToDate);
    let mut media = Media::new();
    let both = offline_target(b"firmware", &["hw-1", "hw-2"]);
    media.updates.targets.insert("fw.bin".to_owned(), both);
    media.publish();
    let Outcome::Update(targets) = media.run().unwrap() else { panic!("no update") };
    let serials: Vec<_> = targets.iter().map(|target| target.ecu_serial.as_str()).collect();
    assert_eq!(serials, ["primary", "second"]);
    media.updates.targets.insert("more.bin".to_owned(), offline_target(b"more", &["hw-2"]));
    media.updates.header.version = 2;
    media.snapshot.header.version = 2;
    media.publish();
    media.refused("duplicate-ecu");
}

#[test]
fn a_power_cut_at_any_point_loses_nothing_of_a_medium() {
    let mut base = Media::new();
    base.accepted();
    for server in [&mut base.world.director, &mut base.world.image] {
        server.rotate(|server| server.set_role("snapshot", &[key(90)], 1));
        server.advance();
        server.files.remove("timestamp.json");
    }
    base.snapshot.header.version = 2;
    base.updates.header.version = 2;
    base.publish();
    let with = |world: &World| {
        let (snapshot, updates) = (base.snapshot.clone(), base.updates.clone());
        Media { world: world.clone(), snapshot, updates }
    };
    let mut clean = with(&base.world);
    clean.accepted();
    for crash_after in 0..8 {
        let mut media = with(&base.world);
        let _ = media.run_until(crash_after);
        media.accepted();
        assert_eq!(media.world.store, clean.world.store, "after {crash_after} changes");
    }
}

#[test]
fn the_network_goes_on_after_a_medium_and_a_medium_after_the_network() {
    let mut media = Media::new();
    media.accepted();
    media.world.director.publish();
    media.world.image.publish();
    media.world.accepted();
    media.world.image.advance();
    media.world.accepted();
    // The image repository's files on the medium are older now, and still say the same.
    media.accepted();
    let types = OfflineSnapshot::type_name(Dialect::Uptane);
    assert_eq!(types, "Offline-Snapshot");
}

impl Media {
    /// As a Secondary takes it that verifies the Image repository alone.
    fn run_tuf(&mut self) -> Result<TufOutcome, Refusal> {
        let world = &mut self.world;
        let (trusted, options) = (world.store.image.clone(), world.options.clone());
        let mut updater = TufUpdater::from_medium(trusted, &[], world.now, &options, ToyVerifier);
        let run = world.drive(
            |reply| {
                match reply {
                    Some(Some(bytes)) => updater.received(&bytes)?,
                    Some(None) => updater.absent()?,
                    None => {}
                }
                updater.next()
            },
            usize::MAX,
        );
        run.unwrap()
    }
}

#[test]
fn the_image_repository_alone_is_verified_on_a_medium_without_a_timestamp() {
    let mut media = Media::new();
    let outcome = media.run_tuf().unwrap();
    assert!(outcome.top_level.contains_key("fw.bin"));
    assert_eq!(
        media.world.fetched,
        ["image/2.root.json", "image/snapshot.json", "image/targets.json"]
    );
    // What was replaced does not come back: the stored snapshot judges what is offered.
    let old = media.world.image.files.clone();
    media.world.image.targets.header.version += 1;
    media.world.image.snapshot_version += 1;
    media.world.image.publish();
    media.run_tuf().unwrap();
    let new = media.world.image.file("targets.json").clone();
    media.world.image.files = old;
    media.run_tuf().unwrap();
    assert_eq!(stored(&media.world.store.image, &RoleName::Targets), Some(new));
    media.world.store.image.remove(&RoleName::Targets);
    assert!(media.run_tuf().is_err(), "targets that were replaced are back");
    let mut late = Media::new();
    late.world.image.snapshot_expires = earlier();
    late.world.image.publish();
    assert_eq!(late.run_tuf().map(drop).unwrap_err().name(), "expired");
}

#[test]
fn partial_verification_takes_the_directors_word_on_a_medium() {
    let mut media = Media::new();
    media.world.options.verification = Verification::Partial;
    media.accepted();
    assert!(media.world.fetched.iter().all(|file| file.starts_with("director/")));
    media.updates.header.version = 2;
    let updates = OfflineUpdates(media.updates.clone());
    let bytes = media.world.director.signed("offline-updates", &updates);
    media.world.director.files.insert("box.json".to_owned(), bytes);
    assert!(media.run().is_err(), "what the snapshot does not list is believed");
}
