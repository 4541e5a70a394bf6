//! Journals of ext4: what is written to one completes a commit, and is not torn any more.
#![no_main]
use updraft_bootenv::{Ext4Superblock, TornCommit};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut image = data.to_vec();
    let Some(superblock) = image.get(1024..).and_then(Ext4Superblock::parse) else { return };
    let find = |image: &[u8]| {
        let read = |place: u64, bytes: &mut [u8]| {
            let from = usize::try_from(place).map_err(|_| ())?;
            let to = from.checked_add(bytes.len()).ok_or(())?;
            bytes.copy_from_slice(image.get(from..to).ok_or(())?);
            Ok::<(), ()>(())
        };
        TornCommit::find(&superblock, read)
    };
    if let Ok(Some(torn)) = find(&image) {
        let from = usize::try_from(torn.place()).unwrap();
        image[from..from + torn.bytes().len()].copy_from_slice(torn.bytes());
        if let Ok(Some(again)) = find(&image) {
            assert_ne!(again.place(), torn.place());
        }
    }
});
