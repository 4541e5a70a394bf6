//! OTA packages: where the payload is in them.
#![no_main]
use updraft_payload::{StoredEntry, find_directory};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let size = data.len() as u64;
    if let Ok(directory) = find_directory(data, size) {
        assert!(directory.end <= size);
        let range = directory.start as usize..directory.end as usize;
        if let Ok(Some(entry)) = StoredEntry::find(&data[range], "payload.bin") {
            if let Some(local) = data.get(entry.local_header as usize..).and_then(|it| it.first_chunk()) {
                let _ = entry.data(local);
            }
        }
    }
    let _ = StoredEntry::find(data, "payload.bin");
});
