//! Path patterns, a zero byte, then a path: matching ends, and wildcards match more.
#![no_main]
use updraft_tuf::{Separator, pattern_matches};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data.get(..256).unwrap_or(data)) else { return };
    let Some((pattern, path)) = text.split_once('\0') else { return };
    if pattern_matches(pattern, path, Separator::Special) && !pattern.contains(['[', '\\']) {
        assert!(pattern_matches(pattern, path, Separator::Plain));
    }
    assert!(pattern_matches("*", path, Separator::Plain));
});
