//! Signatures of whole packages, keys of recovery, metadata and bundles.
#![no_main]
use updraft_payload::bundle::Bundle;
use updraft_payload::{OtaMetadata, PropertyFile, RecoveryKey, WholeFileSignature, entries};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(found) = WholeFileSignature::find(data, data.len() as u64) {
        assert!(found.signed < data.len() as u64);
    }
    let _ = entries(data);
    let _ = Bundle::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = RecoveryKey::parse_all(text);
        let _ = OtaMetadata::parse_text(text);
        if let Ok(list) = PropertyFile::parse_list(text) {
            assert_eq!(PropertyFile::parse_list(&PropertyFile::list(&list)).unwrap(), list);
        }
    }
});
