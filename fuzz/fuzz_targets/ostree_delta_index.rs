//! Indexes of static deltas: what is read is read again from what is written.
#![no_main]
use updraft_ostree::delta::DeltaIndex;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = DeltaIndex::decode(data) {
        assert_eq!(DeltaIndex::decode(&value.encode()).as_ref(), Ok(&value));
    }
});
