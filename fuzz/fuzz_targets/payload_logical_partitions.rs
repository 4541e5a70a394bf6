//! What is in the partition `super`: geometry, table, and what a package makes of it.
#![no_main]
use sha2::{Digest as _, Sha256};
use updraft_payload::logical_partitions::{Geometry, LogicalTable, parse_changes};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(geometry) = Geometry::parse(data) {
        let bytes = geometry.encode().expect("what was read can be written");
        assert_eq!(Geometry::parse(&bytes).as_ref(), Ok(&geometry));
    }
    let geometry = Geometry { max_size: 65536, slots: 1, block_size: 4096 };
    if let Ok(table) = LogicalTable::parse(&geometry, &with_right_sums(data)) {
        let bytes = table.encode(&geometry).expect("what was read can be written");
        assert_eq!(LogicalTable::parse(&geometry, &bytes).as_ref(), Ok(&table));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = parse_changes(text);
    }
});

/// Nobody finds a SHA-256 by chance.
fn with_right_sums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let length = if data.get(6) == Some(&2) { 256 } else { 128 };
    if bytes.len() >= length {
        let tables = u32::try_from(bytes.len() - length).unwrap_or(0);
        bytes[44..48].copy_from_slice(&tables.to_le_bytes());
        let sum = Sha256::digest(&bytes[length..]);
        bytes[48..80].copy_from_slice(&sum);
        bytes[12..44].fill(0);
        let sum = Sha256::digest(&bytes[..length]);
        bytes[12..44].copy_from_slice(&sum);
    }
    bytes
}
