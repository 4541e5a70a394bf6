//! What tells recovery what to do: the boot loader's block, options, and the partition of a patch.
#![no_main]
use updraft_bootenv::BootloaderMessage;
use updraft_recovery_engine::{Options, PartitionSpec};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Whatever is shorter than a block is one with nothing behind it.
    let mut block = data.to_vec();
    block.resize(block.len().max(BootloaderMessage::LEN), 0);
    let Ok(mut message) = BootloaderMessage::parse(&block) else { return };
    let _ = (message.command(), message.stage(), message.boots_recovery());
    let told = Options::parse(&message.options());
    // What is told once more is understood in the same way.
    let again = Options::parse(&told.lines());
    let known = Options { unknown: Vec::new(), ..told.clone() };
    assert_eq!(again, known);
    if message.set_options(&told.lines()).is_ok() {
        assert!(message.boots_recovery());
        assert_eq!(Options::parse(&message.options()), again);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = PartitionSpec::parse(text);
});
