//! Key files: what is read is written again with the same text.
#![no_main]
use updraft_ostree::KeyFile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(file) = KeyFile::parse(text) {
        let written = file.to_string();
        let again = KeyFile::parse(&written).expect("what was written is readable");
        assert_eq!(again.to_string(), written);
    }
});
