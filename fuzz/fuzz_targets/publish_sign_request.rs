//! Sign requests: a request that was written reads back.
#![no_main]
use updraft_publish::Draft;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(mut draft) = Draft::from_request(data) {
        let again = Draft::from_request(&draft.to_request()).expect("it is readable");
        assert_eq!(again.to_request(), draft.to_request());
        let _ = draft.shortfalls();
        if let Ok(meaning) = draft.judge(None) {
            assert!(meaning.lines.iter().all(|line| !line.contains(|c: char| c.is_control())));
        }
    }
});
