//! Root payloads in both dialects: writing what was read loses nothing.
#![no_main]
use updraft_tuf::{Dialect, Payload, Root, json};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, 1 << 16) else { return };
    for dialect in [Dialect::Tuf, Dialect::Uptane] {
        if let Ok(payload) = Root::from_value(dialect, value.clone()) {
            let written = payload.to_value(dialect);
            let again = Root::from_value(dialect, written.clone()).expect("it is readable");
            assert_eq!(again.to_value(dialect), written);
        }
    }
});
