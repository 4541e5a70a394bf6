//! Summaries: what is read is written again with the same bytes.
#![no_main]
use updraft_ostree::Summary;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Summary::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
