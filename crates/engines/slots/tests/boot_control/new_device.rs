//! The partition `misc` of a device that was never started.

use updraft_error::{Classify, Kind};
use updraft_slots::boot_control::{BootControl, Misc, Slot};

#[test]
fn the_first_active_slot_sets_an_empty_misc_up_and_a_damaged_one_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("misc");
    std::fs::write(&path, vec![0; 4096]).unwrap();
    let misc = Misc::new(&path);
    assert_eq!(misc.status().unwrap_err().kind(), Kind::Invalid);
    misc.mark_successful(Slot::A).unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), vec![0; 4096]);

    misc.set_active(Slot::A, None).unwrap();
    let status = misc.status().unwrap();
    assert_eq!(status.active, Some(Slot::A));
    assert_eq!(status.slots.map(|slot| slot.is_bootable), [true, false]);

    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2048 + 13] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    misc.set_active(Slot::A, None).unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
