//! What is wrong has its code, and nothing is begun that cannot be finished.

use std::os::unix::fs::PermissionsExt as _;

use updraft_crypto::KeyAlgorithm;
use updraft_slots::boot_control::Slot;
use updraft_slots::{Error, ErrorCode, Phase};

use super::device::Device;
use super::make::{delta, signer};

#[test]
fn bit_flips_have_the_codes_of_update_engine() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&key]);
    let signatures = 81;
    let data = payload.len() - signatures - maker.data.len();
    let metadata = data - signatures;
    // Within the signature itself, behind the fields around it.
    for (at, code, is_written) in [
        (0, 21, false),
        (11, 44, false),
        (metadata - 1, 26, false),
        (metadata + 30, 26, false),
        (data, 29, true),
        (payload.len() - signatures + 30, 18, true),
    ] {
        let device = Device::new(&maker, &key);
        let mut damaged = payload.clone();
        damaged[at] ^= 1;
        let error = device.apply(&damaged, &[]).unwrap_err();
        assert_eq!(ErrorCode::of(&error), ErrorCode(code), "byte {at}: {error}");
        let overview = device.overview();
        assert_eq!(overview.last.unwrap().code, code);
        assert_eq!(overview.active, Some('a'));
        assert!(!device.status().slots[1].is_bootable);
        let begun = std::fs::read(device.path("state/state.json")).unwrap();
        let begun = String::from_utf8(begun).unwrap().contains("\"update\": {");
        assert_eq!(begun, is_written, "byte {at}");
    }
}

#[test]
fn properties_that_are_about_another_payload_have_their_codes() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&key]);
    let device = Device::new(&maker, &key);
    std::fs::write(device.path("payload.bin"), &payload).unwrap();
    let mut source = updraft_slots::FileSource::open(&device.path("payload.bin")).unwrap();
    let properties =
        updraft_slots::properties(&updraft_task::Context::silent(), &mut source).unwrap();
    let right = properties.to_string();
    for (name, code) in
        [("FILE_HASH", 10), ("FILE_SIZE", 11), ("METADATA_HASH", 26), ("METADATA_SIZE", 32)]
    {
        let line = right.lines().find(|line| line.starts_with(name)).unwrap();
        let value = if name.ends_with("HASH") { "A".repeat(43) + "=" } else { "7".to_owned() };
        let wrong = right.replace(line, &format!("{name}={value}"));
        let headers: Vec<&str> = wrong.lines().collect();
        let error = Device::new(&maker, &key).apply(&payload, &headers).unwrap_err();
        assert_eq!(ErrorCode::of(&error), ErrorCode(code), "{name}: {error}");
    }
    let headers: Vec<&str> = right.lines().collect();
    device.apply(&payload, &headers).unwrap();
}

#[test]
fn everything_in_the_way_is_told_at_once_and_nothing_is_written() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = delta();
    maker.manifest.max_timestamp = Some(100);
    maker.manifest.security_patch_level = Some("2026-10-01".to_owned());
    maker.manifest.partitions[1].run_postinstall = Some(true);
    let payload = maker.signed(&[&key]);
    let mut device = Device::new(&maker, &key);
    device.more = "build = { timestamp = 101, security-patch-level = \"2026-11-01\" }".to_owned();
    std::fs::write(device.path("system_a"), b"short").unwrap();
    std::fs::write(device.path("boot_b"), b"short").unwrap();
    let before = std::fs::read(device.path("misc")).unwrap();
    let error = device.apply(&payload, &[]).unwrap_err();
    let Error::Refused(obstacles) = &error else { panic!("{error}") };
    let codes: Vec<u32> = obstacles.iter().map(|one| one.code.0).collect();
    assert_eq!(codes, [51, 51, 5, 20, 60], "{error}");
    assert!(obstacles.iter().all(|one| !one.way_out.is_empty()));
    assert_eq!(std::fs::read(device.path("misc")).unwrap(), before);
    assert_eq!(device.overview().phase, Phase::Idle);
    assert!(std::fs::read(device.path("system_b")).unwrap().iter().all(|byte| *byte == 0xa5));
}

#[test]
fn a_device_can_say_no() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    let ask = device.path("ask");
    std::fs::write(&ask, "#!/bin/sh\necho battery is at 7 %\nexit 1\n").unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o755)).unwrap();
    device.more = format!("ask = \"{}\"", ask.display());
    let error = device.apply(&maker.signed(&[&key]), &["POWERWASH=1"]).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("battery is at 7 %") && said.contains("POWERWASH"), "{said}");
    assert_eq!(device.status().active, Some(Slot::A));
    std::fs::write(&ask, "#!/bin/sh\nexit 0\n").unwrap();
    device.apply(&maker.signed(&[&key]), &[]).unwrap();
}

#[test]
fn what_nobody_signed_is_refused() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let device = Device::new(&maker, &key);
    let error = device.apply(&maker.unsigned(), &[]).unwrap_err();
    assert_eq!(ErrorCode::of(&error), ErrorCode(39), "{error}");
    let other = signer(KeyAlgorithm::EcdsaP256);
    let error = device.apply(&maker.signed(&[&other]), &[]).unwrap_err();
    assert_eq!(ErrorCode::of(&error), ErrorCode(26), "{error}");
}

#[test]
fn a_payload_that_leaves_out_a_partition_needs_the_same_in_both_slots() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = delta();
    let device = Device::new(&maker, &key);
    let (system, boot) = (maker.manifest.partitions[0].clone(), "boot");
    maker.manifest.partitions = vec![system];
    let payload = maker.signed(&[&key]);
    let error = device.apply(&payload, &[]).unwrap_err();
    assert_eq!(ErrorCode::of(&error), ErrorCode(6), "{error}");
    let path = |slot: &str| device.path(&format!("{boot}_{slot}"));
    std::fs::copy(path("a"), path("b")).unwrap();
    device.apply(&payload, &[]).unwrap();
}
