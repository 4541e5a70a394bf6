//! The names of keys in tokens: reading never panics, and what is shown is read again without its PIN.
#![no_main]
use updraft_crypto::pkcs11::TokenUri;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(uri) = text.parse::<TokenUri>() else { return };
    let shown = uri.to_string();
    assert!(!shown.contains('?'), "the query holds the PIN");
    let again: TokenUri = shown.parse().expect("what is shown is a URI");
    assert_eq!(again.to_string(), shown);
});
