//! Header and signatures of payloads, and the text beside them.
#![no_main]
use updraft_payload::{Header, Properties, Signatures};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::parse(data) {
        assert_eq!(header.encode()[..], data[..Header::LEN]);
    }
    if let Ok(signatures) = Signatures::parse(data, "the signature") {
        let padded: Vec<_> = signatures.iter().map(|one| (one.to_vec(), one.len() + 3)).collect();
        let written = Signatures::encode(&padded).expect("none is longer than it is");
        if let Ok(again) = Signatures::parse(&written, "the signature") {
            assert_eq!(again, signatures);
        }
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(properties) = Properties::parse(&text) {
        assert_eq!(Properties::parse(&properties.to_string()).ok(), Some(properties));
    }
});
