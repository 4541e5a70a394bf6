//! Boot loader entries: what is written reads back.
#![no_main]
use updraft_bootenv::BootEntry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = BootEntry::parse(data) {
        let written = entry.encode();
        let again = BootEntry::parse(&written).expect("what was written is readable");
        assert_eq!(again.encode(), written);
    }
});
