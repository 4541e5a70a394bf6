//! Patches in streams, and packed content put together again: bounded, whatever they say.
#![no_main]
use updraft_delta::{Error, PatchReaders, apply_streams, repack};

const SIZE: u64 = 1 << 16;
static QUIET: std::sync::Once = std::sync::Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // libFuzzer's hook ends the process at once. `repack` catches what the library that it uses
    // asserts of strange corrections; a panic that nobody catches is still found.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
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
    let _ = repack(&[values, literals].concat(), &[controls, gaps].concat());
});
