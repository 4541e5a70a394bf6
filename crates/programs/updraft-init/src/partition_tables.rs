//! The identities of partitions, as partition tables have them.
//!
//! ```text
//! GPT   block 1: "EFI PART", 72 first block of the entries (u64), 80 their number, 84 their size
//!       entry: 16 GUID of the partition
//! MBR   440: signature of the disk (u32); a partition's identity is SIGNATURE-NUMBER
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::superblock::uuid_text;

/// The most partitions that are looked for in a table.
const MAX_ENTRIES: u32 = 1024;

/// The identity of partition `number` (the first is 1) of a disk, in lower case.
pub(crate) fn part_uuid(disk: &File, block_size: u64, number: u32) -> Option<String> {
    let mut header = [0; 92];
    disk.read_exact_at(&mut header, block_size).ok()?;
    if !header.starts_with(b"EFI PART") {
        return master_boot_record(disk, number);
    }
    let first = u64::from_le_bytes(header[72..80].try_into().ok()?);
    let count = u32::from_le_bytes(header[80..84].try_into().ok()?);
    let size = u32::from_le_bytes(header[84..88].try_into().ok()?);
    let index = number.checked_sub(1).filter(|index| *index < count.min(MAX_ENTRIES))?;
    let offset = u64::from(index).checked_mul(u64::from(size))?;
    let at = first.checked_mul(block_size)?.checked_add(offset)?.checked_add(16)?;
    let mut guid = [0; 16];
    disk.read_exact_at(&mut guid, at).ok()?;
    // The first three parts are little-endian.
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    Some(uuid_text(guid))
}

fn master_boot_record(disk: &File, number: u32) -> Option<String> {
    let mut record = [0; 512];
    disk.read_exact_at(&mut record, 0).ok()?;
    if record[510..] != [0x55, 0xaa] {
        return None;
    }
    let signature = u32::from_le_bytes(record[440..444].try_into().ok()?);
    Some(format!("{signature:08x}-{number:02x}"))
}

#[cfg(test)]
mod tests {
    use machine::{Disk, Partition};

    use super::*;

    #[test]
    fn the_table_of_the_real_tool_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let uuid = "0f4e1c5a-8a10-4e2f-9a43-1b6f0c9b7d11";
        let disk = Disk::gpt()
            .partition(Partition::empty("a").mib(1))
            .partition(Partition::empty("b").mib(1).part_uuid(uuid))
            .build(&folder.path().join("disk"))
            .unwrap();
        let file = File::open(disk.path()).unwrap();
        assert_eq!(part_uuid(&file, 512, 2).as_deref(), Some(uuid));
        assert_ne!(part_uuid(&file, 512, 1).as_deref(), Some(uuid));
        assert_eq!(part_uuid(&file, 512, 0), None);
        assert_eq!(part_uuid(&file, 512, 5000), None);
    }
}
