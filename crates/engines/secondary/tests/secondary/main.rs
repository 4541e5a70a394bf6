//! A secondary against primaries that are honest, careless, and malicious.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod commits;
mod encrypted;
mod media;
mod vehicle;
mod wire;

use jiff::Timestamp;
use updraft_secondary::payload::{CommandPayload, HandlerPayload};
use updraft_secondary::{Ecu, Error, Installation, Verification};
use updraft_task::Context;
use updraft_tuf::{
    Dialect, Envelope, Hashes, Payload as _, Repository, RoleName, Targets, TrustedMetadata,
};

use vehicle::{HARDWARE, Home, SERIAL, Vehicle, now};

const OWN: (&str, &str) = (SERIAL, HARDWARE);

fn ctx() -> Context {
    Context::silent()
}

/// The name under which metadata is refused.
fn refusal(result: Result<(), Error>) -> &'static str {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal.name(),
        other => panic!("{other}"),
    }
}

fn reported(ecu: &mut Ecu) -> serde_json::Value {
    let manifest = ecu.manifest(&ctx()).unwrap();
    Envelope::parse(Dialect::Uptane, &manifest, 1 << 20).unwrap().signed
}

fn give(ecu: &mut Ecu, metadata: &TrustedMetadata, content: &[u8]) -> Result<(), Error> {
    ecu.put_metadata(metadata, now())?;
    content.chunks(7).try_for_each(|piece| ecu.receive(piece, now()))
}

#[test]
fn every_sort_of_verification_installs_what_is_assigned_and_comes_back() {
    for verification in [Verification::Full, Verification::Tuf, Verification::Partial] {
        let (mut vehicle, home) = (Vehicle::new(), Home::new());
        vehicle.publish("fw-1", b"first firmware", HARDWARE, "1");
        let mut ecu = home.ecu(verification);
        assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "unknown");
        // Another ECU of the vehicle is none of its business.
        let others = [OWN, ("engine-1", "brake")];
        let first = vehicle.assign("fw-1", b"first firmware", &others);
        give(&mut ecu, &first, b"first firmware").unwrap();
        assert_eq!(ecu.install(&ctx(), b"fw-1", now()).unwrap(), Installation::Done);
        ecu.confirm().unwrap();
        assert_eq!(home.firmware().unwrap(), b"first firmware");

        vehicle.publish("fw-2", b"second", HARDWARE, "2");
        let second = vehicle.assign("fw-2", b"second", &[OWN]);
        give(&mut ecu, &second, b"second").unwrap();
        ecu.install(&ctx(), b"", now()).unwrap();
        let report = reported(&mut ecu);
        assert_eq!(report["installed_image"]["filepath"], "fw-2", "{verification:?}");
        assert_eq!(report["attacks_detected"], "");
        // Unconfirmed: it can be undone, once.
        ecu.revert(&ctx()).unwrap();
        assert_eq!(home.firmware().unwrap(), b"first firmware");
        assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-1");
        assert!(ecu.revert(&ctx()).is_err());
        // And again forward, with the same metadata.
        give(&mut ecu, &second, b"second").unwrap();
        ecu.install(&ctx(), b"fw-2", now()).unwrap();
        ecu.confirm().unwrap();
        assert!(ecu.revert(&ctx()).is_err(), "a confirmed installation was undone");
        assert_eq!(home.firmware().unwrap(), b"second");
    }
}

#[test]
fn what_a_malicious_primary_brings_is_refused_and_reported() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    vehicle.publish("fw-1", b"one", HARDWARE, "1");
    vehicle.publish("other", b"other", "engine", "1");
    let mut ecu = home.ecu(Verification::Full);
    let old = vehicle.assign("fw-1", b"one", &[OWN]);
    vehicle.publish("fw-2", b"two", HARDWARE, "2");
    let new = vehicle.assign("fw-2", b"two", &[OWN]);
    give(&mut ecu, &new, b"two").unwrap();
    ecu.install(&ctx(), b"fw-2", now()).unwrap();

    // Old metadata: both repositories' versions would go down.
    assert_eq!(refusal(ecu.put_metadata(&old, now())), "rollback");
    assert!(reported(&mut ecu)["attacks_detected"].as_str().unwrap().contains("rollback"));
    // A Director that assigns what the Image repository never signed.
    let unsigned = vehicle.assign("fw-3", b"three", &[OWN]);
    assert_eq!(refusal(ecu.put_metadata(&unsigned, now())), "director-image-mismatch");
    // An image for other hardware, and another hardware id for this ECU.
    let foreign = vehicle.assign("other", b"other", &[OWN]);
    assert_eq!(refusal(ecu.put_metadata(&foreign, now())), "wrong-hardware-id");
    let wrong = vehicle.assign("other", b"other", &[(SERIAL, "engine")]);
    assert_eq!(refusal(ecu.put_metadata(&wrong, now())), "wrong-hardware-id");
    // One bit of a signed file.
    vehicle.publish("fw-4", b"four", HARDWARE, "4");
    let mut bent = vehicle.assign("fw-4", b"four", &[OWN]);
    let targets = bent.director.get(&RoleName::Targets).unwrap();
    let text = String::from_utf8(targets.to_vec()).unwrap().replace("urn:1", "urn:2");
    bent.director.insert(RoleName::Targets, text.into_bytes());
    assert_eq!(refusal(ecu.put_metadata(&bent, now())), "threshold");
    // Metadata of the future is good; in a year it is not.
    let good = vehicle.assign("fw-4", b"four", &[OWN]);
    let late: Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
    assert_eq!(refusal(ecu.put_metadata(&good, late)), "expired");

    // Right metadata, wrong bytes: too many, other ones, too few, none.
    ecu.put_metadata(&good, now()).unwrap();
    assert!(matches!(ecu.receive(b"fourteen", now()), Err(Error::WrongContent { .. })));
    assert!(matches!(ecu.receive(b"4444", now()), Err(Error::WrongContent { .. })));
    ecu.receive(b"fo", now()).unwrap();
    assert!(matches!(ecu.install(&ctx(), b"", now()), Err(Error::Incomplete { .. })));
    assert!(matches!(ecu.install(&ctx(), b"fw-9", now()), Err(Error::AnotherTarget { .. })));
    assert_eq!(home.firmware().unwrap(), b"two");
    assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-2");
    // It is not stuck: the honest primary succeeds. The clock may have moved in between.
    give(&mut ecu, &good, b"four").unwrap();
    assert!(matches!(ecu.install(&ctx(), b"", late), Err(Error::Refused(_))));
    ecu.install(&ctx(), b"fw-4", now()).unwrap();
    assert_eq!(home.firmware().unwrap(), b"four");
}

/// SHA-256 and SHA-512 of different contents.
fn contradictory_hashes() -> Hashes {
    let target = serde_json::json!({
        "_type": "Targets", "version": 1, "expires": "2100-01-01T00:00:00Z",
        "targets": { "x": { "length": 3, "hashes": {
            "sha256": updraft_tuf::sha256_hex(b"one"), "sha512": "00".repeat(64),
        } } },
    });
    let targets = Targets::from_value(Dialect::Uptane, target).unwrap();
    targets.targets["x"].hashes.clone()
}

#[test]
fn an_image_that_is_here_needs_every_hash_that_its_next_target_lists() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    vehicle.publish("fw-1", b"one", HARDWARE, "1");
    let mut ecu = home.ecu(Verification::Full);
    give(&mut ecu, &vehicle.assign("fw-1", b"one", &[OWN]), b"one").unwrap();
    // The same content under a name whose hashes contradict each other.
    vehicle.publish_with("fw-2", (3, contradictory_hashes()), HARDWARE, "2");
    give(&mut ecu, &vehicle.assign("fw-2", b"one", &[OWN]), b"one").unwrap();
    let refused = ecu.install(&ctx(), b"fw-2", now());
    assert!(matches!(refused, Err(Error::WrongContent { what: "hash", .. })), "{refused:?}");
    assert_eq!(home.firmware(), None);
    assert!(reported(&mut ecu)["attacks_detected"].as_str().unwrap().contains("hash"));
    give(&mut ecu, &vehicle.assign("fw-1", b"one", &[OWN]), b"one").unwrap();
    ecu.install(&ctx(), b"fw-1", now()).unwrap();
    assert_eq!(home.firmware().unwrap(), b"one");
}

#[test]
fn roots_follow_one_after_the_other_and_nothing_else_does() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    vehicle.publish("fw-1", b"one", HARDWARE, "1");
    let mut ecu = home.ecu(Verification::Full);
    let first = vehicle.assign("fw-1", b"one", &[OWN]);
    give(&mut ecu, &first, b"one").unwrap();
    assert_eq!(ecu.root_version(Repository::Director), 1);
    vehicle.rotate();
    vehicle.rotate();
    let rotated = vehicle.assign("fw-1", b"one", &[OWN]);
    // Two steps at once are one too many.
    assert!(ecu.put_metadata(&rotated, now()).is_err());
    let director = vehicle.director_root(3).to_vec();
    assert_eq!(refusal(ecu.put_root(Repository::Director, &director, now())), "threshold");
    for version in [2, 3] {
        ecu.put_root(Repository::Director, vehicle.director_root(version), now()).unwrap();
        ecu.put_root(Repository::Image, vehicle.image_root(version), now()).unwrap();
    }
    assert_eq!(ecu.root_version(Repository::Image), 3);
    // The other repository's root is none.
    let image = vehicle.image_root(3).to_vec();
    assert!(ecu.put_root(Repository::Director, &image, now()).is_err());
    // A power cut forgets nothing of it.
    drop(ecu);
    let mut ecu = home.ecu(Verification::Full);
    assert_eq!(ecu.root_version(Repository::Director), 3);
    give(&mut ecu, &rotated, b"one").unwrap();
    ecu.install(&ctx(), b"", now()).unwrap();
    // What the old keys signed counts no more.
    assert!(ecu.put_metadata(&first, now()).is_err());
}

#[test]
fn wherever_the_power_is_cut_the_next_attempt_succeeds() {
    let mut vehicle = Vehicle::new();
    vehicle.publish("fw-1", b"one", HARDWARE, "1");
    let first = vehicle.assign("fw-1", b"one", &[OWN]);
    vehicle.publish("fw-2", b"two", HARDWARE, "2");
    let second = vehicle.assign("fw-2", b"two", &[OWN]);
    for operation in 0.. {
        let home = Home::new();
        let mut ecu = home.ecu(Verification::Full);
        give(&mut ecu, &first, b"one").unwrap();
        ecu.install(&ctx(), b"", now()).unwrap();
        ecu.confirm().unwrap();
        let injection =
            updraft_fs::fault::Injection::after(operation, updraft_fs::fault::Fault::Broken);
        let worked = give(&mut ecu, &second, b"two")
            .and_then(|()| ecu.install(&ctx(), b"", now()).map(drop))
            .and_then(|()| ecu.confirm());
        let struck = injection.has_struck();
        drop(injection);
        drop(ecu);
        assert!(matches!(home.firmware().as_deref(), Some(b"one" | b"two")), "at {operation}");
        let mut ecu = home.ecu(Verification::Full);
        let report = reported(&mut ecu);
        let running = if home.firmware().unwrap() == b"one" { "fw-1" } else { "fw-2" };
        assert_eq!(report["installed_image"]["filepath"], running, "at {operation}");
        if running == "fw-1" {
            give(&mut ecu, &second, b"two").unwrap();
            ecu.install(&ctx(), b"", now()).unwrap();
        }
        assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-2", "at {operation}");
        if !struck {
            worked.unwrap();
            assert!(operation > 10, "{operation} operations are too few to be true");
            return;
        }
    }
}

#[test]
fn a_command_installs_asks_for_a_restart_and_goes_back() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    let script = format!(
        "set -e; cp \"$UPDRAFT_IMAGE\" {out}; echo \"$UPDRAFT_ACTION $UPDRAFT_TARGET\" >>{log}; \
         case $UPDRAFT_ACTION.$UPDRAFT_TARGET in install.fw-2) exit 21;; *.bad) exit 1;; esac",
        out = home.path("firmware").display(),
        log = home.path("log").display(),
    );
    let open = || {
        home.ecu_with(Verification::Full, |_| {
            let time = std::time::Duration::from_secs(20);
            Box::new(CommandPayload::new(script.clone(), time))
        })
    };
    let mut ecu = open();
    vehicle.publish("fw-1", b"one", HARDWARE, "1");
    vehicle.publish("fw-2", b"two", HARDWARE, "2");
    vehicle.publish("bad", b"bad", HARDWARE, "3");
    let one = vehicle.assign("fw-1", b"one", &[OWN]);
    give(&mut ecu, &one, b"one").unwrap();
    ecu.install(&ctx(), b"", now()).unwrap();
    ecu.confirm().unwrap();
    let two = vehicle.assign("fw-2", b"two", &[OWN]);
    give(&mut ecu, &two, b"two").unwrap();
    assert_eq!(ecu.install(&ctx(), b"", now()).unwrap(), Installation::NeedsRestart);
    assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-1");
    drop(ecu);
    let mut ecu = open();
    assert!(ecu.awaits_restart());
    assert_eq!(ecu.complete(&ctx()).unwrap(), Some(Installation::Done));
    assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-2");
    ecu.revert(&ctx()).unwrap();
    assert_eq!(home.firmware().unwrap(), b"one");
    let bad = vehicle.assign("bad", b"bad", &[OWN]);
    give(&mut ecu, &bad, b"bad").unwrap();
    assert!(matches!(ecu.install(&ctx(), b"", now()), Err(Error::Payload { .. })));
    assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-1");
    let log = std::fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log, "install fw-1\ninstall fw-2\ncomplete fw-2\nrevert fw-1\ninstall bad\n");
}

#[test]
fn an_action_handler_is_told_and_believed_as_torizon_has_it() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    let script = home.path("handler.sh");
    let text = r#"#!/bin/sh
test "$SECONDARY_INTERFACE_MAJOR.$SECONDARY_INTERFACE_MINOR" = 1.0 || exit 9
test "$SECONDARY_HARDWARE_ID $SECONDARY_ECU_SERIAL" = "brake brake-1" || exit 9
case $1 in
get-firmware-info) test -f told && { cat told; exit 0; }; exit 64;;
install)
  echo "$SECONDARY_FIRMWARE_SHA256  $SECONDARY_FIRMWARE_PATH" | sha256sum -c >&2 || exit 9
  test -n "$SECONDARY_CUSTOM_METADATA$SECONDARY_FIRMWARE_PATH_PREV" || exit 9
  case $(cat "$SECONDARY_FIRMWARE_PATH") in
  one) exit 64;; bad) exit 65;; mute) exit 0;; slow) echo '{"status": "need-completion"}';;
  *) echo '{"status": "ok", "message": "done"}';; esac;;
complete-install) echo '{"status": "ok"}';;
esac
"#;
    std::fs::write(&script, text).unwrap();
    std::process::Command::new("chmod").arg("+x").arg(&script).status().unwrap();
    let mut ecu = home.ecu_with(Verification::Full, |identity| {
        let paths = (home.path("firmware"), home.path("name"));
        let time = std::time::Duration::from_secs(20);
        Box::new(HandlerPayload::new(script, home.path(""), paths, identity.clone(), time))
    });
    let contents =
        [("fw-1", "one"), ("fw-2", "two"), ("fw-3", "bad"), ("fw-4", "mute"), ("fw-5", "slow")];
    for (name, content) in contents {
        vehicle.publish(name, content.as_bytes(), HARDWARE, "1");
    }
    let mut attempt = |ecu: &mut Ecu, name: &str, content: &str| {
        let metadata = vehicle.assign(name, content.as_bytes(), &[OWN]);
        give(ecu, &metadata, content.as_bytes()).unwrap();
        ecu.install(&ctx(), b"", now())
    };
    assert_eq!(attempt(&mut ecu, "fw-1", "one").unwrap(), Installation::Done);
    assert_eq!(attempt(&mut ecu, "fw-2", "two").unwrap(), Installation::Done);
    assert_eq!(reported(&mut ecu)["installed_image"]["filepath"], "fw-2");
    assert!(attempt(&mut ecu, "fw-3", "bad").is_err());
    assert!(attempt(&mut ecu, "fw-4", "mute").is_err());
    assert_eq!(home.firmware().unwrap(), b"two");
    assert_eq!(attempt(&mut ecu, "fw-5", "slow").unwrap(), Installation::NeedsRestart);
    assert_eq!(home.firmware().unwrap(), b"two");
    assert_eq!(ecu.complete(&ctx()).unwrap(), Some(Installation::Done));
    assert_eq!(home.firmware().unwrap(), b"slow");
    // What the handler says of itself goes before what the files say.
    let told = format!(
        r#"{{"status": "ok", "name": "own", "sha256": "{}", "length": 3}}"#,
        "ab".repeat(32)
    );
    std::fs::write(home.path("told"), told).unwrap();
    let image = &reported(&mut ecu)["installed_image"];
    assert_eq!((&image["filepath"], &image["fileinfo"]["length"]), (&"own".into(), &3.into()));
    std::fs::write(home.path("told"), r#"{"status": "failed"}"#).unwrap();
    assert!(ecu.manifest(&ctx()).is_err());
}
