//! Messages to and from secondaries: what is read is written so that it reads back.
#![no_main]
use updraft_ipuptane::{Framer, Message, Progress};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // However the bytes are cut, the end is found at the same place.
    let whole = Framer::new(1 << 16).look(data);
    let mut framer = Framer::new(1 << 16);
    let pieces = (0..=data.len()).map(|end| framer.look(&data[..end]));
    let end = pieces.into_iter().find(|progress| !matches!(progress, Ok(Progress::Incomplete)));
    match (&whole, end) {
        (Ok(Progress::Incomplete), None) => {}
        (whole, Some(found)) => assert_eq!(*whole, found),
        (whole, None) => panic!("{whole:?} at once, and nothing byte by byte"),
    }
    let Ok(message) = Message::decode(data) else { return };
    assert_eq!(whole, Ok(Progress::Complete(data.len())));
    let bytes = message.encode();
    let again = Message::decode(&bytes).expect("what we write we can read");
    assert_eq!(again, message);
});
