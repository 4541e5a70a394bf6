//! Heads of patches that know of deflate: pieces follow each other in both forms.
#![no_main]
use updraft_payload::{PuffPatch, PuffStream};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(patch) = PuffPatch::parse(data) else { return };
    for PuffStream { pieces, size, puff_size } in [patch.old, patch.new] {
        let (mut bit, mut byte) = (0, 0);
        for piece in pieces {
            assert_eq!((piece.bits.start, piece.puff.start), (bit, byte));
            assert!(piece.bits.end > bit && piece.puff.end > byte);
            (bit, byte) = (piece.bits.end, piece.puff.end);
        }
        assert_eq!((bit, byte), (8 * size, puff_size));
    }
});
