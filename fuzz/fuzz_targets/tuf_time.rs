//! Time attestations whose signatures are believed: what was read is written and read again.
#![no_main]
use jiff::SignedDuration;
use updraft_tuf::{
    Dialect, KeyType, PublicKey, SecureClock, TimeAttestation, TimeAuthority, VerifySignature,
};

struct Credulous;

impl VerifySignature for Credulous {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let key = PublicKey::new(KeyType::Ed25519, vec![0; 32]).expect("32 bytes are a key");
    for dialect in [Dialect::Tuf, Dialect::Uptane] {
        let authority = TimeAuthority::of_keys(dialect, std::slice::from_ref(&key), 1);
        let Ok(attested) = authority.verify(dialect, data, None, &Credulous) else { continue };
        let again = TimeAttestation::from_value(attested.to_value()).expect("it is readable");
        assert_eq!(again, *attested);
        let mut clock = SecureClock::new(None, SignedDuration::ZERO);
        assert!(clock.accept(&attested).is_ok());
    }
});
