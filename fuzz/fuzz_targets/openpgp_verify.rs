//! Signatures against a real key: none that comes out of here is good.
#![no_main]
use updraft_openpgp::{Keyring, verify};

const KEY: &[u8] = include_bytes!("../corpus/openpgp_keyring/seed-ed25519");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let keyring = Keyring::parse(KEY).expect("the key is one");
    if let Ok(reports) = verify(&keyring, b"never signed", data, 1_900_000_000) {
        assert!(reports.iter().all(|report| !report.is_good()));
    }
});
