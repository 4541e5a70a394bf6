//! Writes that fail anywhere in an update: the device starts what it started, or what it is to start,
//! and the update goes on.

use updraft_crypto::KeyAlgorithm;
use updraft_fs::fault::{Fault, Injection};
use updraft_slots::boot_control::Slot;
use updraft_slots::{EngineStatus, ErrorCode};

use super::device::Device;
use super::make::{delta, signer};

#[test]
fn a_write_that_fails_at_any_time_leaves_a_device_that_starts() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&key]);
    let mut seen = [0, 0];
    for operations in 0.. {
        let device = Device::new(&maker, &key);
        drop(device.engine());
        std::fs::write(device.path("payload.bin"), &payload).unwrap();
        let mut source = updraft_slots::FileSource::open(&device.path("payload.bin")).unwrap();
        let injection = Injection::after(operations, Fault::Broken);
        let done = device.apply_from(&mut source, &[]);
        let struck = injection.has_struck();
        drop(injection);
        let active = device.status().active;
        if active == Some(Slot::B) {
            // It may be started, so it is complete, and what is remembered fits.
            device.assert_updated(&maker);
            assert_eq!(device.overview().status, EngineStatus::UpdatedNeedReboot);
            seen[1] += 1;
        } else {
            assert_eq!(active, Some(Slot::A), "after {operations}");
            assert_eq!(device.overview().status, EngineStatus::Idle);
            seen[0] += 1;
            assert_eq!(device.apply(&payload, &[]).unwrap(), ErrorCode::SUCCESS);
            device.assert_updated(&maker);
        }
        if !struck {
            done.unwrap();
            break;
        }
    }
    assert!(seen[0] > 20 && seen[1] > 2, "{seen:?}");
}
