//! Variable-length integers: what is read takes no more bytes than there are.
#![no_main]
use updraft_ostree::{read_varuint, write_varuint};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((value, length)) = read_varuint(data) {
        assert!(length <= data.len());
        let mut written = Vec::new();
        write_varuint(&mut written, value);
        assert_eq!(read_varuint(&written).ok(), Some((value, written.len())));
    }
});
