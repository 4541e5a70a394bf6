//! Payloads as a whole: reading to the end, what is told beside them, records of updates, and applying
//! patches; and what a device's slots are.
#![no_main]
use updraft_slots::{Checkpoint, Forward, Headers, SlotsConfig, State, Trust, UpdateConfig, apply_patch, verify};
use updraft_task::Context;

/// What patches may make, in bytes.
const MOST: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = verify(&Context::silent(), &mut Forward::new(data), &Trust::default());
    if let Some(record) = Checkpoint::decode(data) {
        assert_eq!(Checkpoint::decode(&record.encode()), Some(record));
    }
    let _ = State::decode(data);
    let _ = UpdateConfig::parse("update.json".as_ref(), data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Headers::parse(text.lines());
        let _ = SlotsConfig::parse("slots.toml".as_ref(), text);
    }
    let old: Vec<u8> = (0..=255).collect();
    if let Ok(made) = apply_patch(&old, data.to_vec(), MOST) {
        assert!(made.len() as u64 <= MOST);
    }
});
