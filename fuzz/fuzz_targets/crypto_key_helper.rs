//! What comes over the socket between an agent and its key helper, on both sides.
#![no_main]
use updraft_crypto::helper::{Answer, Request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut stream = data;
    while let Ok(Some(request)) = Request::read(&mut stream) {
        let mut written = Vec::new();
        request.write(&mut written).expect("what was read can be written");
        assert!(Request::read(&mut &written[..]).ok().flatten() == Some(request));
    }
    let mut stream = data;
    while let Ok(Some(answer)) = Answer::read(&mut stream) {
        let mut written = Vec::new();
        answer.write(&mut written).expect("what was read can be written");
        assert_eq!(Answer::read(&mut &written[..]).ok().flatten(), Some(answer));
    }
});
