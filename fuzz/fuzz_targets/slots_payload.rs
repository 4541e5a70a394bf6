//! Payloads as a whole: reading to the end, the record of an apply, and applying patches.
#![no_main]
use updraft_slots::{Checkpoint, Forward, Trust, apply_patch, verify};
use updraft_task::Context;

/// What patches may make, in bytes.
const MOST: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = verify(&Context::silent(), &mut Forward::new(data), &Trust::default());
    if let Some(record) = Checkpoint::decode(data) {
        assert_eq!(Checkpoint::decode(&record.encode()), Some(record));
    }
    let old: Vec<u8> = (0..=255).collect();
    if let Ok(made) = apply_patch(&old, data.to_vec(), MOST) {
        assert!(made.len() as u64 <= MOST);
    }
});
