//! Lists of certificates, as an EST server sends them: what is read is written again alike.
#![no_main]
use updraft_crypto::cms::{certificate_list, certificates_of_list};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(certificates) = certificates_of_list(data) {
        let texts: Vec<_> = certificates.iter().map(String::as_str).collect();
        let written = certificate_list(&texts).expect("what was read can be written");
        assert_eq!(certificates_of_list(&written).ok(), Some(certificates));
    }
});
