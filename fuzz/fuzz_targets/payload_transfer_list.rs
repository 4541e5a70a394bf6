//! Transfer lists: what recovery does to blocks.
#![no_main]
use updraft_payload::transfer_list::TransferList;

libfuzzer_sys::fuzz_target!(|data: &str| {
    if let Ok(list) = TransferList::parse(data) {
        for (command, _) in &list.commands {
            assert!(command.target().is_none_or(|target| target.end() <= list.end()));
        }
    }
});
