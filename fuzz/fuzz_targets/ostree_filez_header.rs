//! Headers of `.filez` objects: what is read is written again with the same bytes.
#![no_main]
use updraft_ostree::{FRAME_LEN, FileHeader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((header, size)) = FileHeader::decode_archive(data) {
        assert_eq!(header.encode_archive(size).get(FRAME_LEN..), Some(data));
    }
});
