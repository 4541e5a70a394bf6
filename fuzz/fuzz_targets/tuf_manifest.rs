//! Vehicle manifests whose signatures are believed: reading never panics.
#![no_main]
use std::collections::BTreeMap;

use updraft_tuf::manifest::{RegisteredEcu, VehicleManifest};
use updraft_tuf::{KeyType, PublicKey, VerifySignature};

struct Credulous;

impl VerifySignature for Credulous {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let key = PublicKey::new(KeyType::Ed25519, vec![0; 32]).expect("32 bytes are a key");
    let ecu = RegisteredEcu { key, last_counter: Some(1) };
    let registered = BTreeMap::from([("e".to_owned(), ecu)]);
    let _ = VehicleManifest::verify(data, &registered, &Credulous);
});
