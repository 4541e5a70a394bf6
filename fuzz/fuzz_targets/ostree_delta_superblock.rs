//! Superblocks of static deltas, plain or signed: what is read is written again with the same
//! bytes.
#![no_main]
use updraft_ostree::delta::{SignedDelta, Superblock};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Superblock::decode(data) {
        assert_eq!(value.encode(), data);
        let _ = value.commit_meta();
        let _ = value.inline_part(0);
    }
    if let Ok(value) = SignedDelta::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
