//! Kernel command lines: what is written reads back.
#![no_main]
use updraft_bootenv::KernelArgs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let written = KernelArgs::parse(line).to_string();
    assert_eq!(KernelArgs::parse(&written).to_string(), written);
});
