//! What the slots hold, as whoever asks for updates names it.

use updraft_crypto::KeyAlgorithm;
use updraft_payload::described::DescribedPartition;
use updraft_slots::boot_control::Slot;
use updraft_slots::{FileSource, Headers, Phase, SlotImage, UpdateRequest};
use updraft_task::Context;

use super::device::Device;
use super::make::{delta, signer};

fn image(name: &str) -> SlotImage {
    SlotImage { name: name.to_owned(), sha256: name.repeat(64) }
}

fn apply(device: &Device, payload: &[u8], image: &SlotImage) {
    std::fs::write(device.path("payload.bin"), payload).unwrap();
    let mut source = FileSource::open(&device.path("payload.bin")).unwrap();
    let headers = Headers::parse(["SWITCH_SLOT_ON_REBOOT=0"]).unwrap();
    let request = UpdateRequest { origin: "it".to_owned(), headers, image: Some(image.clone()) };
    device.engine().apply(&Context::silent(), &mut source, &request).unwrap();
}

fn held(device: &Device) -> [Option<String>; 2] {
    let slots = device.overview().slots;
    [0, 1].map(|one| slots[one].holds.as_ref().map(|image| image.name.clone()))
}

#[test]
fn a_slot_holds_what_was_applied_until_the_next_update_begins() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    let context = Context::silent();
    let (first, second) = (image("1"), image("2"));
    assert!(!device.engine().is_on_trial().unwrap());
    device.engine().start_image(&context, &first).unwrap_err();
    apply(&device, &maker.signed(&[&key]), &first);
    assert_eq!(held(&device), [None, Some("1".to_owned())]);
    assert_eq!(device.status().active, Some(Slot::A));
    device.engine().start_image(&context, &first).unwrap();
    assert_eq!(device.overview().phase, Phase::NeedReboot);
    device.engine().start_image(&context, &first).unwrap();
    assert_eq!(device.restart(), Slot::B);
    assert!(device.engine().is_on_trial().unwrap());
    assert_eq!(device.engine().slot_with(&first).unwrap(), Some(Slot::B));
    device.engine().mark_successful().unwrap();
    assert!(!device.engine().is_on_trial().unwrap());

    // One that is cut off holds nothing any more, and nor does one that has no name.
    let mut cut = maker.signed(&[&key]);
    cut.truncate(cut.len() - 200);
    std::fs::write(device.path("payload.bin"), cut).unwrap();
    let file = std::fs::File::open(device.path("payload.bin")).unwrap();
    device.running = Slot::A;
    device.apply_from(&mut updraft_slots::Forward::new(file), &[]).unwrap_err();
    assert_eq!(held(&device), [None, None]);
    apply(&device, &maker.signed(&[&key]), &second);
    assert_eq!(held(&device), [None, Some("2".to_owned())]);
    device.engine().reset().unwrap();
    assert_eq!(held(&device), [None, Some("2".to_owned())]);
    // It is there: it can be started without an update.
    device.engine().start_image(&context, &second).unwrap();
    assert_eq!(device.status().active, Some(Slot::B));
    device.engine().leave(Slot::B).unwrap();
    assert_eq!(device.status().active, Some(Slot::A));
    device.engine().give_up(Slot::A).unwrap_err();
    device.engine().give_up(Slot::B).unwrap();
    assert_eq!(held(&device), [None, None]);
    assert!(!device.status().slots[1].is_bootable);
    device.engine().start_image(&context, &second).unwrap_err();
}

#[test]
fn a_new_slot_that_is_found_bad_is_left_and_given_up() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let mut device = Device::new(&maker, &key);
    let bad = image("b");
    apply(&device, &maker.signed(&[&key]), &bad);
    device.engine().start_image(&Context::silent(), &bad).unwrap();
    device.engine().give_up(Slot::A).unwrap_err();
    assert_eq!(device.restart(), Slot::B);
    device.engine().leave(Slot::B).unwrap();
    let status = device.status();
    assert_eq!((status.active, status.slots[0].is_successful), (Some(Slot::A), Some(true)));
    assert_eq!(device.restart(), Slot::A);
    assert_eq!(device.overview().last.unwrap().name, "RolledBack");
    device.engine().give_up(Slot::B).unwrap();
    assert_eq!(held(&device), [None, None]);
    assert_eq!(device.overview().last.unwrap().name, "RolledBack");
}

#[test]
fn what_runs_is_compared_byte_by_byte() {
    let maker = delta();
    let device = Device::new(&maker, &signer(KeyAlgorithm::EcdsaP256));
    let context = Context::silent();
    let old = maker.olds[0].clone().unwrap();
    let name = maker.manifest.partitions[0].partition_name.clone().unwrap();
    let size = old.len() as u64;
    let own = DescribedPartition { name, size, sha256: updraft_crypto::sha256_hex(&old) };
    let runs_on = |one: &DescribedPartition| {
        device.engine().runs_on(&context, std::slice::from_ref(one)).unwrap()
    };
    assert!(runs_on(&own));
    for wrong in [
        DescribedPartition { name: "other".to_owned(), ..own.clone() },
        DescribedPartition { size: own.size - 1, ..own.clone() },
        DescribedPartition { size: own.size + 1, ..own.clone() },
        DescribedPartition { sha256: "0".repeat(64), ..own.clone() },
    ] {
        assert!(!runs_on(&wrong), "{wrong:?}");
    }
}
