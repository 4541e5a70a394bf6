//! Refspecs: what is read is written again with the same text.
#![no_main]
use updraft_ostree::Refspec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(refspec) = text.parse::<Refspec>() {
        assert_eq!(refspec.to_string(), text);
    }
});
