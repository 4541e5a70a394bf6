//! Directory trees: what is read is written again with the same bytes.
#![no_main]
use updraft_ostree::DirTree;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = DirTree::decode(data) {
        assert_eq!(value.encode(), data);
    }
});
