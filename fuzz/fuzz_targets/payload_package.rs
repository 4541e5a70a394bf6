//! OTA packages: where the payload is in them.
#![no_main]
use updraft_payload::{StoredEntry, find_directory};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let size = data.len() as u64;
    if let Ok(directory) = find_directory(data, size) {
        assert!(directory.end <= size);
        let range = directory.start as usize..directory.end as usize;
        let entry = StoredEntry::find(&data[range], "payload.bin").ok().flatten();
        let local =
            entry.as_ref().and_then(|it| data.get(it.local_header as usize..)?.first_chunk());
        if let (Some(entry), Some(local)) = (&entry, local) {
            let _ = entry.data(local);
        }
    }
    let _ = StoredEntry::find(data, "payload.bin");
});
