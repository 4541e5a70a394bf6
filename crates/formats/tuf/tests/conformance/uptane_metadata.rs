//! Uptane 2.1.0 on metadata: the U-M rules, one test or more for each.

use crate::common::{ToyVerifier, World, director_target, image_target, key};
use serde_json::{Value, json};
use updraft_tuf::manifest::{EcuVersionReport, InstalledImage, RegisteredEcu, VehicleManifest};
use updraft_tuf::{
    Dialect, EmptyTargets, EncryptedImages, Envelope, Hashes, Header, Outcome, Payload as _,
    Repository, Root, Sign, Snapshot, Target, Targets, Timestamp, canonical,
};

const D: Dialect = Dialect::Uptane;

fn malformed<P: updraft_tuf::Payload>(value: &Value, change: impl FnOnce(&mut Value)) -> bool {
    let mut value = value.clone();
    change(&mut value);
    P::from_value(D, value).is_err()
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name).unwrap();
}

#[test]
fn u_m1_strings_are_unicode_told_apart_by_code_points_and_written_in_ascii() {
    // Normalised and not normalised are two names; nobody can sign one and have the other taken.
    let (composed, decomposed) = ("Gr\u{f6}\u{df}e", "Gro\u{308}\u{df}e");
    let mut world = World::uptane();
    for (name, content) in [(composed, "one"), (decomposed, "two")] {
        let target = image_target(content.as_bytes());
        world.image.targets.targets.insert(name.to_owned(), target);
    }
    world.image.publish();
    assert!(world.image.file("targets.json").is_ascii());
    let outcome = world.run_tuf(&[composed, decomposed]).unwrap();
    assert!(outcome.wanted[composed].as_ref().unwrap().hashes.verify(b"one"));
    assert!(outcome.wanted[decomposed].as_ref().unwrap().hashes.verify(b"two"));
    for broken in [&b"\"\xff\""[..], b"\"\\ud800\"", b"\"\\udc00\\ud800\""] {
        assert!(updraft_tuf::json::parse(broken, 64).is_err());
    }
}

#[test]
fn u_m2_a_key_id_is_a_hash_of_the_key() {
    for dialect in [Dialect::Tuf, Dialect::Uptane] {
        let (one, two) = (key(1), key(2));
        let id = one.public_key().key_id(dialect);
        assert_eq!(id.as_str().len(), 64);
        assert_ne!(id, two.public_key().key_id(dialect));
    }
}

#[test]
fn u_m3_a_file_is_a_payload_and_signatures_with_key_ids() {
    let world = World::uptane();
    for name in ["targets.json", "snapshot.json", "timestamp.json", "1.root.json"] {
        let file: Value = serde_json::from_slice(&world.image.file(name)).unwrap();
        let signature = &file["signatures"][0];
        assert!(signature["keyid"].is_string() && signature["sig"].is_string());
        for absent in ["signatures", "signed"] {
            let mut broken = file.clone();
            remove(&mut broken, absent);
            assert!(Envelope::from_value(D, broken).is_err());
        }
        for absent in ["keyid", "sig"] {
            let mut broken = file.clone();
            remove(&mut broken["signatures"][0], absent);
            assert!(Envelope::from_value(D, broken).is_err());
        }
    }
}

#[test]
fn u_m4_a_payload_has_a_type_an_expiry_and_a_version() {
    let value = World::uptane().image.targets.to_value(D);
    assert_eq!(value["_type"], "Targets");
    for name in ["_type", "expires", "version"] {
        assert!(malformed::<Targets>(&value, |value| remove(value, name)));
    }
    assert!(malformed::<Targets>(&value, |value| value["version"] = json!(1.5)));
    assert!(malformed::<Targets>(&value, |value| value["version"] = json!(-1)));
    assert!(malformed::<Targets>(&value, |value| value["expires"] = json!("tomorrow")));
}

#[test]
fn u_m5_a_root_has_keys_and_thresholds_of_its_roles() {
    let value = World::uptane().image.root.to_value(D);
    assert!(malformed::<Root>(&value, |value| remove(value, "keys")));
    assert!(malformed::<Root>(&value, |value| remove(&mut value["roles"], "root")));
    assert!(malformed::<Root>(&value, |value| remove(&mut value["roles"], "targets")));
    assert!(malformed::<Root>(&value, |value| value["roles"]["root"]["threshold"] = json!(0)));
    assert!(malformed::<Root>(&value, |value| {
        let ids = value["roles"]["root"]["keyids"].as_array_mut().unwrap();
        ids.push(ids[0].clone());
    }));
    assert!(malformed::<Root>(&value, |value| value["roles"]["root"]["keyids"] = json!(["00"])));
}

#[test]
fn u_m6_a_target_has_a_name_a_size_and_a_hash() {
    let value = World::uptane().image.targets.to_value(D);
    let target = |value: &mut Value, name: &str| remove(&mut value["targets"]["fw.bin"], name);
    assert!(malformed::<Targets>(&value, |value| target(value, "length")));
    assert!(malformed::<Targets>(&value, |value| target(value, "hashes")));
    let hashes = |value: &mut Value, hashes: Value| value["targets"]["fw.bin"]["hashes"] = hashes;
    assert!(malformed::<Targets>(&value, |value| hashes(value, json!({}))));
    assert!(malformed::<Targets>(&value, |value| hashes(value, json!({ "sha256": "00" }))));
    assert!(malformed::<Targets>(&value, |value| {
        let target = value["targets"]["fw.bin"].clone();
        value["targets"][""] = target;
    }));
}

#[test]
fn u_m7_director_targets_name_ecus_and_empty_ones_the_vehicle() {
    let mut world = World::uptane();
    world.director.targets.targets.get_mut("fw.bin").unwrap().custom = None;
    world.director.publish();
    world.refused("wrong-ecu");
    let mut world = World::uptane();
    world.options.vehicle_id = Some("car-1".to_owned());
    world.director.targets.targets.clear();
    world.director.publish();
    world.refused("missing-vehicle-id");
    let name = |world: &mut World, id: &str| {
        world.director.targets.extra.insert("custom".to_owned(), json!({ "vehicleId": id }));
        world.director.advance();
    };
    name(&mut world, "car-2");
    world.refused("wrong-vehicle");
    name(&mut world, "car-1");
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
    // Old Directors name no vehicle. One that did cannot be made to stop by replaying such files.
    world.options.empty_targets = EmptyTargets::MayBeAnonymous;
    world.director.targets.extra.clear();
    world.director.advance();
    world.refused("missing-vehicle-id");
    let mut world = World::uptane();
    world.options.vehicle_id = Some("car-1".to_owned());
    world.options.empty_targets = EmptyTargets::MayBeAnonymous;
    world.director.targets.targets.clear();
    world.director.publish();
    assert_eq!(world.run().unwrap(), Outcome::UpToDate);
}

#[test]
fn u_m8_what_shall_match_is_compared_across_the_repositories() {
    let set = |targets: &mut Targets, name: &str, value: &Value| {
        let target = targets.targets.get_mut("fw.bin").unwrap();
        target.custom.as_mut().unwrap()[name] = value.clone();
    };
    let pairs = [
        ("shallMatch", Some(json!({ "region": "eu" })), Some(json!({ "region": "us" }))),
        ("shallMatch", Some(json!(1)), None),
        ("shallMatch", None, Some(json!(1))),
        ("releaseCounter", Some(json!(1)), Some(json!(2))),
        ("releaseCounter", Some(json!(1)), None),
    ];
    for (name, director, image) in pairs {
        let mut world = World::uptane();
        if let Some(value) = director {
            set(&mut world.director.targets, name, &value);
        }
        if let Some(value) = image {
            set(&mut world.image.targets, name, &value);
        }
        world.director.publish();
        world.image.publish();
        world.refused("director-image-mismatch");
    }
    let mut world = World::uptane();
    for server in [&mut world.director, &mut world.image] {
        set(&mut server.targets, "shallMatch", &json!({ "b": 1, "a": [2] }));
        server.publish();
    }
    world.accepted();
}

#[test]
fn u_m9_an_encrypted_image_is_told_with_ciphertext_method_and_key_or_refused_by_name() {
    let mut world = World::uptane();
    let custom = world.director.targets.targets.get_mut("fw.bin").unwrap().custom.as_mut().unwrap();
    let ciphertext = json!({
        "filename": "fw.bin.aes", "length": 6, "hashes": { "sha256": updraft_tuf::sha256_hex(b"secret") },
    });
    custom["encryptedTarget"] = ciphertext;
    let wrapped =
        json!({ "encryptedSymmetricKeyType": "aes128", "encryptedSymmetricKeyValue": "AAEC" });
    custom["encryptedSymmetricKey"] = wrapped;
    world.director.publish();
    world.refused("encrypted-image");
    assert_eq!(world.store.director.get(&updraft_tuf::RoleName::Targets), None);
    world.options.encrypted_images = EncryptedImages::Accept;
    let Outcome::Update(targets) = world.run().unwrap() else { panic!("no update") };
    let encrypted = targets[0].encrypted.as_ref().unwrap();
    assert_eq!((&*encrypted.filename, &*encrypted.method), ("fw.bin.aes", "aes128"));
    assert_eq!((&*encrypted.key, encrypted.length), ("AAEC", 6));
    assert!(encrypted.verify(b"secret") && !encrypted.verify(b"secreT"));
    assert!(targets[0].hashes.verify(b"firmware"), "the image's own hashes stay");
    let custom = world.director.targets.targets.get_mut("fw.bin").unwrap().custom.as_mut().unwrap();
    remove(custom, "encryptedSymmetricKey");
    world.director.advance();
    world.refused("malformed");
}

#[test]
fn u_m9_each_ecu_of_a_target_has_its_own_ciphertext_and_key() {
    let mut world = World::uptane();
    world.options.encrypted_images = EncryptedImages::Accept;
    let told = |name: &str| {
        json!({
            "filename": name, "length": 6, "uri": "https://x/y",
            "hashes": { "sha512": hex_of_sha512() },
        })
    };
    let key = json!({
        "encryptedSymmetricKeyType": "aes256", "encryptedSymmetricKeyValue": "AAEC",
        "keyEncryption": "hpke-x25519", "contentEncryption": "aes-256-gcm-stream-64k",
    });
    let custom = world.director.targets.targets.get_mut("fw.bin").unwrap().custom.as_mut().unwrap();
    custom["encryptedTarget"] = told("for-others");
    custom["encryptedSymmetricKey"] = key.clone();
    let ecu = custom["ecuIdentifiers"].as_object_mut().unwrap().values_mut().next().unwrap();
    ecu["encryptedTarget"] = told("own");
    ecu["encryptedSymmetricKey"] = key;
    world.director.publish();
    let Outcome::Update(targets) = world.run().unwrap() else { panic!("no update") };
    let encrypted = targets[0].encrypted.as_ref().unwrap();
    assert_eq!((&*encrypted.filename, encrypted.uri.as_deref()), ("own", Some("https://x/y")));
    assert_eq!(encrypted.key_encryption.as_deref(), Some("hpke-x25519"));
    assert!(encrypted.verify(b"secret"));
    // What is written is what is read.
    let custom = world.director.targets.targets.get_mut("fw.bin").unwrap().custom.as_mut().unwrap();
    let ecu = custom["ecuIdentifiers"].as_object_mut().unwrap().values_mut().next().unwrap();
    for (name, value) in encrypted.to_members() {
        assert_eq!(ecu[name], value);
    }
    // One half from the ECU's entry and the other from the target's is nobody's.
    ecu.as_object_mut().unwrap().shift_remove("encryptedSymmetricKey");
    world.director.advance();
    world.refused("malformed");
}

/// Of `secret`.
fn hex_of_sha512() -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha512::digest(b"secret"))
}

#[test]
fn u_m10_a_director_does_not_delegate() {
    let mut world = World::uptane();
    world.delegate_to_team();
    world.accepted();
    world.director.targets.delegations.clone_from(&world.image.targets.delegations);
    world.director.advance();
    world.refused("director-delegation");
}

#[test]
fn u_m11_a_snapshot_lists_name_and_version_of_every_targets_file() {
    let mut world = World::uptane();
    world.delegate_to_team();
    let file: Value = serde_json::from_slice(&world.image.file("snapshot.json")).unwrap();
    assert_eq!(file["signed"]["meta"]["targets.json"]["version"], 1);
    assert_eq!(file["signed"]["meta"]["team.json"]["version"], 1);
    let signed = &file["signed"];
    assert!(malformed::<Snapshot>(signed, |value| remove(value, "meta")));
    assert!(malformed::<Snapshot>(signed, |value| remove(
        &mut value["meta"]["team.json"],
        "version"
    )));
}

#[test]
fn u_m12_a_timestamp_lists_the_snapshot_with_a_hash() {
    let file: Value =
        serde_json::from_slice(&World::uptane().image.file("timestamp.json")).unwrap();
    let signed = &file["signed"];
    let snapshot =
        |value: &mut Value, name: &str| remove(&mut value["meta"]["snapshot.json"], name);
    assert!(malformed::<Timestamp>(signed, |value| snapshot(value, "hashes")));
    assert!(malformed::<Timestamp>(signed, |value| snapshot(value, "version")));
    assert!(malformed::<Timestamp>(signed, |value| snapshot(value, "length")));
    assert!(malformed::<Timestamp>(signed, |value| {
        value["meta"]["other.json"] = json!({ "version": 1 });
    }));
}

#[test]
fn u_m14_files_are_asked_for_by_version_and_name_and_images_by_hash() {
    let mut world = World::uptane();
    world.image.rotate(|server| server.root.consistent_snapshot = Some(true));
    world.delegate_to_team();
    world.accepted();
    for name in ["1.snapshot.json", "1.targets.json", "delegations/1.team.json"] {
        assert!(world.fetched.contains(&format!("image/{name}")), "{name}: {:?}", world.fetched);
    }
    assert!(world.fetched.contains(&"image/timestamp.json".to_owned()));
    let outcome = world.run_tuf(&["fw.bin"]).unwrap();
    let target = outcome.wanted["fw.bin"].as_ref().unwrap();
    let digest = target.hashes.sha256().unwrap();
    assert_eq!(target.download_path, format!("{digest}.fw.bin"));
}

// What a vehicle sends.

fn manifest(counter: u64) -> VehicleManifest {
    let mut manifest = VehicleManifest::new("primary");
    for (serial, signer) in [("primary", key(1)), ("second", key(2))] {
        let image = InstalledImage {
            filepath: "fw.bin".to_owned(),
            length: 8,
            hashes: Hashes::of(b"firmware"),
        };
        let report = EcuVersionReport::new(serial, image, counter);
        manifest.ecu_version_manifests.insert(serial.to_owned(), report.sign(&signer).unwrap());
    }
    manifest
}

fn verify(bytes: &[u8], last: Option<u64>) -> Result<(), &'static str> {
    let ecu = |seed| RegisteredEcu { key: key(seed).public_key().clone(), last_counter: last };
    let registered = [("primary".to_owned(), ecu(1)), ("second".to_owned(), ecu(2))].into();
    let verified = VehicleManifest::verify(bytes, &registered, &ToyVerifier);
    verified.map(drop).map_err(|refusal| refusal.name())
}

#[test]
fn u_p2_a_vehicle_manifest_is_signed_by_the_primary_and_holds_all_reports() {
    let bytes = manifest(5).sign(&key(1)).unwrap();
    assert_eq!(verify(&bytes, None), Ok(()));
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(file["signed"]["primary_ecu_serial"], "primary");
    assert_eq!(file["signed"]["ecu_version_manifests"].as_object().unwrap().len(), 2);
    assert_eq!(file["signatures"][0]["method"], "ed25519");
    assert_eq!(verify(&manifest(5).sign(&key(2)).unwrap(), None), Err("bad-signature"));
}

#[test]
fn u_p3_an_ecu_report_is_signed_by_its_ecu_and_has_a_counter_that_rises() {
    let mut forged = manifest(5);
    let own = forged.ecu_version_manifests["primary"].clone();
    forged.ecu_version_manifests.insert("second".to_owned(), own);
    assert_eq!(verify(&forged.sign(&key(1)).unwrap(), None), Err("bad-signature"));
    let bytes = manifest(5).sign(&key(1)).unwrap();
    assert_eq!(verify(&bytes, Some(5)), Err("replayed-report"));
    assert_eq!(verify(&bytes, Some(4)), Ok(()));
    let report = &manifest(5).ecu_version_manifests["second"].signed;
    for name in ["ecu_serial", "installed_image", "attacks_detected", "timeserver_time"] {
        assert!(report.get(name).is_some(), "{name}");
    }
    assert_eq!(report["report_counter"], "5");
}

#[test]
fn u_s3_a_director_checks_a_manifest_against_its_inventory() {
    let mut stranger = manifest(5);
    let report = EcuVersionReport::new("third", InstalledImage::unknown(), 5);
    stranger.ecu_version_manifests.insert("third".to_owned(), report.sign(&key(3)).unwrap());
    assert_eq!(verify(&stranger.sign(&key(1)).unwrap(), None), Err("wrong-ecu"));
}

#[test]
fn the_canonical_form_of_both_dialects_covers_what_is_unknown() {
    let header = Header::new(D, 1, crate::common::later());
    let mut targets = Targets::empty(header);
    targets.extra.insert("x-new".to_owned(), json!({ "z": 1, "a": "\u{e9}\n" }));
    let mut target = Target::new(1, Hashes::of(b"x"));
    target.extra.insert("x-more".to_owned(), json!(null));
    targets.targets.insert("x".to_owned(), target);
    let bytes = canonical::encode(D, &targets.to_value(D)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(r#""x-new":{"a":"\u00e9\n","z":1}"#), "{text}");
    assert!(text.contains(r#""x-more":null"#), "{text}");
    let world = World::uptane();
    assert_eq!(world.store.files(Repository::Image).iter().count(), 1);
    let _ = director_target(b"", "e", "h");
}
