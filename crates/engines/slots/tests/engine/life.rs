//! Updates that come to their end, whichever it is.

use updraft_crypto::KeyAlgorithm;
use updraft_slots::boot_control::{BootControl as _, Slot};
use updraft_slots::{EngineStatus, Error, ErrorCode, Phase};
use updraft_task::Context;

use super::device::Device;
use super::make::{delta, signer};

#[test]
fn an_update_is_applied_tried_and_found_well() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    assert_eq!(device.overview().status, EngineStatus::Idle);
    assert_eq!(device.apply(&maker.signed(&[&key]), &[]).unwrap(), ErrorCode::SUCCESS);
    device.assert_updated(&maker);
    let overview = device.overview();
    assert_eq!(overview.status, EngineStatus::UpdatedNeedReboot);
    assert_eq!((overview.running, overview.active), (Some('a'), Some('b')));
    // Nothing is begun before the restart.
    let refused = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
    assert_eq!(ErrorCode::of(&refused), ErrorCode(66));

    assert_eq!(device.restart(), Slot::B);
    assert_eq!(device.overview().status, EngineStatus::CleanupPreviousUpdate);
    // Nor before it is found well.
    let refused = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
    assert!(refused.to_string().contains("nobody has found it well"), "{refused}");
    assert_eq!(device.engine().mark_successful().unwrap(), Slot::B);
    let overview = device.overview();
    assert_eq!((overview.status, overview.update), (EngineStatus::Idle, None));
    assert_eq!(device.status().slots[1].is_successful, Some(true));
    assert_eq!(device.restart(), Slot::B);
}

#[test]
fn a_new_slot_that_is_not_found_well_is_given_up_and_that_is_told() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    device.apply(&maker.signed(&[&key]), &[]).unwrap();
    assert_eq!([device.restart(), device.restart(), device.restart()], [Slot::B, Slot::B, Slot::A]);
    let overview = device.overview();
    assert_eq!((overview.status, overview.phase), (EngineStatus::Idle, Phase::Idle));
    let last = overview.last.unwrap();
    assert_eq!(last.name, "RolledBack");
    assert!(last.message.contains("slot b was started and given up"), "{}", last.message);
    // The next one begins anew.
    assert_eq!(device.apply(&maker.signed(&[&key]), &[]).unwrap(), ErrorCode::SUCCESS);
}

#[test]
fn an_update_is_switched_to_and_back_and_reset() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    let payload = maker.signed(&[&key]);
    let code = device.apply(&payload, &["SWITCH_SLOT_ON_REBOOT=0"]).unwrap();
    assert_eq!(code, ErrorCode::UPDATED_BUT_NOT_ACTIVE);
    assert_eq!(device.status().active, Some(Slot::A));
    assert!(!device.status().slots[1].is_bootable);
    assert_eq!(device.restart(), Slot::A);
    device.engine().switch(&Context::silent()).unwrap();
    assert_eq!(device.status().active, Some(Slot::B));
    device.engine().switch_back().unwrap();
    assert_eq!(device.overview().phase, Phase::Applied);
    assert_eq!(device.status().active, Some(Slot::A));
    device.engine().switch(&Context::silent()).unwrap();
    device.engine().reset().unwrap();
    let status = device.status();
    assert_eq!((status.active, status.slots[0].is_successful), (Some(Slot::A), Some(true)));
    assert_eq!(device.overview().phase, Phase::Idle);
    device.engine().switch(&Context::silent()).unwrap_err();

    // What somebody changed since is not switched to.
    device.apply(&payload, &["SWITCH_SLOT_ON_REBOOT=0"]).unwrap();
    let path = device.path("boot_b");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let error = device.engine().switch(&Context::silent()).unwrap_err();
    assert!(matches!(&error, Error::Result { partition } if partition == "boot"), "{error}");
    assert_eq!(device.status().active, Some(Slot::A));
}

#[test]
fn slots_are_chosen_by_hand_but_not_half_written_ones() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let device = Device::new(&maker, &key);
    // Nothing would be left.
    device.control().mark_unbootable(Slot::B).unwrap();
    let refused = device.engine().mark_unbootable(Slot::A).unwrap_err();
    assert!(refused.to_string().contains("nothing would be left"), "{refused}");
    let mut payload = maker.signed(&[&key]);
    payload.truncate(payload.len() - 200);
    std::fs::write(device.path("payload.bin"), &payload).unwrap();
    let cut = std::fs::File::open(device.path("payload.bin")).unwrap();
    device.apply_from(&mut updraft_slots::Forward::new(cut), &[]).unwrap_err();
    assert_eq!(device.overview().phase, Phase::Begun);
    let refused = device.engine().set_active(Slot::B).unwrap_err();
    assert!(refused.to_string().contains("not complete"), "{refused}");
    // That is not forgotten with the update.
    device.engine().reset().unwrap();
    device.engine().set_active(Slot::B).unwrap_err();
    device.apply(&maker.signed(&[&key]), &[]).unwrap();
    device.engine().reset().unwrap();
    device.engine().set_active(Slot::B).unwrap();
    assert_eq!(device.status().active, Some(Slot::B));
    device.engine().mark_unbootable(Slot::B).unwrap();
    assert_eq!(device.status().active, Some(Slot::A));
}

#[test]
fn what_nobody_can_do_is_refused_before_the_slot_is_given_up() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = delta();
    let device = Device::new(&maker, &key);
    device.control().set_active(Slot::B, None).unwrap();
    device.control().set_active(Slot::A, None).unwrap();
    let zucchini = updraft_payload::OperationKind::Zucchini.number();
    maker.manifest.partitions[0].operations[2].kind = Some(zucchini);
    let error = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(ErrorCode::of(&error), ErrorCode(45));
    assert!(device.status().slots[1].is_bootable);
    assert_eq!(device.overview().phase, Phase::Idle);
}
