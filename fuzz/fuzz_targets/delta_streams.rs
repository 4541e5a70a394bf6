//! Patches in streams: bounded, whatever they say.
//!
//! Packing again is not here: of strange corrections the library that packs makes loops without end,
//! which only the worker's limit of processor time ends.
#![no_main]
use updraft_delta::{Error, PatchReaders, apply_streams};

const SIZE: u64 = 1 << 16;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[a, b, c], rest)) = data.split_first_chunk() else { return };
    let (controls, rest) = rest.split_at(rest.len().min(usize::from(a)));
    let (gaps, rest) = rest.split_at(rest.len().min(usize::from(b)));
    let (values, literals) = rest.split_at(rest.len().min(usize::from(c)));
    let old: Vec<u8> = (0..4096_u32).map(|n| n.wrapping_mul(n).to_le_bytes()[1]).collect();
    let mut streams = PatchReaders { controls, gaps, values, literals };
    let mut made = 0;
    let _ = apply_streams(&old, &mut streams, SIZE, &mut |piece| {
        made += piece.len() as u64;
        assert!(made <= SIZE);
        Ok::<_, Error>(())
    });
});
