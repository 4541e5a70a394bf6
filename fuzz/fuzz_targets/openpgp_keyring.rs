//! Keyrings: binary, armored or keybox. What is read can be written and read again.
#![no_main]
use updraft_openpgp::Keyring;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(keyring) = Keyring::parse(data) {
        let _ = keyring.list(1_800_000_000);
        let bytes = keyring.encode().expect("what was read can be written");
        let again = Keyring::parse(&bytes).expect("what was written can be read");
        assert!(again.len() <= keyring.len());
    }
});
