//! Strict JSON against serde_json, and canonical JSON against itself.
#![no_main]
use updraft_tuf::{Dialect, canonical, json};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, 1 << 16) else { return };
    let theirs = serde_json::from_slice::<serde_json::Value>(data).expect("serde_json is laxer");
    let bytes = canonical::encode(Dialect::Uptane, &value).expect("every value has this form");
    assert!(bytes.is_ascii());
    let again = json::parse(&bytes, usize::MAX).expect("it is readable");
    assert_eq!(canonical::encode(Dialect::Uptane, &again).as_ref(), Ok(&bytes));
    let olpc = canonical::encode(Dialect::Tuf, &value);
    // serde_json reads -0 as a float.
    if !data.windows(2).any(|two| two == b"-0") {
        assert_eq!(canonical::encode(Dialect::Tuf, &theirs).ok(), olpc.ok());
    }
});
