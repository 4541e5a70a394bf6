//! Files that say where a key in a token is: what is read is written as what is read the same.
#![no_main]
use updraft_publish::TokenKey;
use updraft_tuf::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, 1 << 14) else { return };
    let Ok(key) = TokenKey::from_json(&value) else { return };
    assert!(TokenKey::is_reference(&value));
    let written = key.to_json();
    let again = TokenKey::from_json(&written).expect("what was read can be written");
    assert_eq!(again.public(), key.public());
    assert_eq!(again.to_json(), written);
});
