//! Headers of content streams: what is read is written again with the same bytes.
#![no_main]
use updraft_ostree::{FRAME_LEN, FileHeader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(header) = FileHeader::decode_content(data) {
        assert_eq!(header.encode_content().get(FRAME_LEN..), Some(data));
    }
});
