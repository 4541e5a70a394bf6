//! Sign requests: a request that was written reads back.
#![no_main]
use updraft_publish::Draft;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(draft) = Draft::from_request(data) {
        let again = Draft::from_request(&draft.to_request()).expect("it is readable");
        assert_eq!(again.to_request(), draft.to_request());
        let _ = draft.shortfalls();
    }
});
