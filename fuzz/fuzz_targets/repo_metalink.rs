//! Metalinks: what is read keeps its bounds.
#![no_main]
use updraft_ostree::MAX_METADATA_SIZE;
use updraft_repo::pull::Metalink;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(metalink) = Metalink::parse(data) else { return };
    assert!(metalink.size <= MAX_METADATA_SIZE as u64);
    assert!((1..=64).contains(&metalink.urls.len()));
    assert!(metalink.urls.iter().all(|url| url.starts_with("http")));
    assert!(metalink.sha256.is_some() || metalink.sha512.is_some());
    for (hash, digits) in [(metalink.sha256, 64), (metalink.sha512, 128)] {
        let is_hash = |text: String| {
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(hash.is_none_or(is_hash));
    }
});
