//! The file that names a vehicle's secondaries: no more of them than there may be.
#![no_main]
use updraft_agent::config::parse_secondaries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(file) = parse_secondaries(data) {
        assert!(file.ip.len() + file.local.len() <= 99);
    }
});
