//! Patches of imgdiff and bsdiff, applied as recovery does: what they make is never more than there is
//! room for.
#![no_main]
use updraft_recovery_engine::apply_patch;

/// The room that there is, in bytes.
const ROOM: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first() else { return };
    let (source, patch) = rest.split_at(rest.len().min((*length).into()));
    let source = source.to_vec();
    let with_magic = [b"IMGDIFF2".as_slice(), patch].concat();
    for patch in [patch, &with_magic] {
        if let Ok(made) = apply_patch(&source, patch, &[], ROOM) {
            assert!(made.len() as u64 <= ROOM);
        }
    }
});
