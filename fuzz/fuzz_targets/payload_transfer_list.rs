//! Transfer lists of all versions: what recovery does to blocks.
#![no_main]
use updraft_payload::transfer_list::{TransferList, UnhashedCommand, UnhashedList};

libfuzzer_sys::fuzz_target!(|data: &str| {
    if let Ok(list) = TransferList::parse(data) {
        for (command, _) in &list.commands {
            assert!(command.target().is_none_or(|target| target.end() <= list.end()));
        }
    }
    if let Ok(Some(list)) = UnhashedList::parse(data) {
        for command in &list.commands {
            if let UnhashedCommand::Transfer { target, .. } = command {
                assert!(target.end() <= list.end());
            }
        }
    }
});
