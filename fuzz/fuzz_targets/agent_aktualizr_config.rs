//! aktualizr's configuration: each entry stands on the line that it names, and has no line break.
#![no_main]
use updraft_agent::config::parse_aktualizr;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().count();
    match parse_aktualizr(text) {
        Ok(entries) => {
            for entry in entries {
                assert!((1..=lines).contains(&entry.line) && !entry.key.is_empty());
                assert!(!entry.value.contains('\n'));
            }
        }
        Err(malformed) => assert!((1..=lines).contains(&malformed.line)),
    }
});
