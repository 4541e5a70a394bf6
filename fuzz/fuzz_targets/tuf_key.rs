//! Public keys: a key has the same material in both wire forms.
#![no_main]
use updraft_tuf::{Dialect, PublicKey, json};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, 1 << 16) else { return };
    if let Ok(Some(key)) = PublicKey::from_json(&value) {
        for dialect in [Dialect::Tuf, Dialect::Uptane] {
            let again = PublicKey::from_json(&key.to_json(dialect)).expect("it is readable");
            assert_eq!(again.as_ref(), Some(&key));
        }
    }
});
