//! What a machine wrote to its disk, in the order in which it did.
//!
//! The format is that of the kernel's dm-log-writes (`drivers/md/dm-log-writes.c`), which QEMU's
//! driver `blklogwrites` writes too: a head in the first sector, then for each operation a sector
//! that describes it and the sectors that were written. All numbers have their low bytes first.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
/// Nothing that a small system writes at once is larger.
const MAX_WRITE: u64 = 64 << 20;

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Bytes were written at an offset.
    Write {
        /// Where.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// Everything before is durable.
    Flush,
}

/// All operations.
#[derive(Debug, Clone)]
pub struct WriteLog {
    /// In their order.
    pub entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads a log.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        let mut head = [0; 28];
        file.read_exact(&mut head).context("read the head of a write log")?;
        ensure!(number(&head, 0) == MAGIC, "{} is no write log", path.display());
        let (count, sector) = (number(&head, 16), u64::from(small(&head, 24)));
        ensure!(sector.is_power_of_two() && sector >= 512, "sectors of {sector} bytes");
        let mut at = sector;
        let mut entries = Vec::new();
        for _ in 0..count {
            file.seek(SeekFrom::Start(at))?;
            let mut head = [0; 32];
            file.read_exact(&mut head).context("read an entry of a write log")?;
            let (place, sectors) = (number(&head, 0), number(&head, 8));
            let (flags, length) = (number(&head, 16), sectors * sector);
            at += sector;
            if flags & DISCARD == 0 && sectors > 0 {
                ensure!(length <= MAX_WRITE, "a write of {length} bytes");
                let mut data = vec![0; usize::try_from(length)?];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut data).context("read what was written")?;
                at += length;
                if flags & FLUSH != 0 {
                    entries.push(Entry::Flush);
                }
                entries.push(Entry::Write { offset: place * sector, data });
                if flags & FUA != 0 {
                    entries.push(Entry::Flush);
                }
            } else if flags & FLUSH != 0 {
                entries.push(Entry::Flush);
            }
        }
        Ok(Self { entries })
    }

    /// How many of them are flushes.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.entries.iter().filter(|entry| **entry == Entry::Flush).count()
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn small(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
}
