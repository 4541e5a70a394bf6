//! Archives with credentials: what is read is written so that it reads back.
#![no_main]
use updraft_ipuptane::{Error, OstreeCredentials};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(credentials) = OstreeCredentials::decode(data) else { return };
    match OstreeCredentials::decode(&credentials.encode()) {
        Ok(again) => assert_eq!(again, credentials),
        // Ours is filled up to whole blocks.
        Err(Error::TooLong { .. }) => {}
        Err(error) => panic!("what we write we can read: {error}"),
    }
});
