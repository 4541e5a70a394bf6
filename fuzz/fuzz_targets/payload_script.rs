//! Scripts of recovery packages.
#![no_main]
use updraft_payload::script::Script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(script) = Script::parse(data) {
        let _ = script.calls();
    }
});
