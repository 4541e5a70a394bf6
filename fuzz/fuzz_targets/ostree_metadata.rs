//! Metadata dictionaries: what is read is written again with the same bytes.
#![no_main]
use updraft_ostree::Metadata;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Metadata::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
