//! Partition tables: what is read is written and read again as the same.
#![no_main]
use updraft_bootenv::{Gpt, GptCopy};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(table) = Gpt::parse(data) {
        for partition in &table.partitions {
            let _ = (partition.offset(), partition.len(), partition.is_empty());
        }
        let _ = table.encode();
    }
    let (header, entries) = data.split_at(data.len().min(512));
    // Fitting checksums, so that what is behind them is looked at.
    let mut header = header.to_vec();
    if let Some([_, at @ ..]) = header.get_mut(87..92) {
        at.copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
        header[16..20].fill(0);
        let len = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
        let crc = crc32fast::hash(header.get(..len).unwrap_or_default());
        header[16..20].copy_from_slice(&crc.to_le_bytes());
    }
    if let Ok(mut copy) = GptCopy::parse(header, 1, entries.to_vec()) {
        let numbers: Vec<usize> = copy.partitions().map(|(number, _)| number).collect();
        for number in numbers {
            copy.set_attributes(number, u64::MAX);
        }
        let again = GptCopy::parse(copy.header().to_vec(), 1, copy.entries().to_vec());
        assert_eq!(again, Ok(copy));
    }
});
