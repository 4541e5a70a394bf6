//! Moments at which the power may fail, and the disk as it stands then.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::Result;

use crate::DiskFile;
use crate::write_log::{Entry, WriteLog};

/// Sectors are written as a whole.
const SECTOR: usize = 512;

/// A moment. What was flushed before it is on the disk; of what was written after the last flush
/// the disk has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// How many operations are on the disk in full: all up to a flush.
    pub durable: usize,
    /// Which of the later writes are on the disk, too, in this order.
    pub survived: Vec<usize>,
    /// How many sectors of the last of these are there. `None`: all.
    pub torn: Option<usize>,
}

impl Cut {
    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        let torn = self
            .torn
            .map_or(String::new(), |sectors| format!(", the last torn after {sectors} sectors"));
        format!("{} operations and {} later writes{torn}", self.durable, self.survived.len())
    }

    /// Brings a copy of the disk as it was before the log to this moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn apply(&self, log: &WriteLog, disk: &DiskFile) -> Result<()> {
        let file = File::options().write(true).open(&disk.path)?;
        let last = self.survived.last();
        let all = (0..self.durable).chain(self.survived.iter().copied());
        for index in all {
            let Some(Entry::Write { offset, data }) = log.entries.get(index) else { continue };
            let torn = self.torn.filter(|_| last == Some(&index));
            let length = torn.map_or(data.len(), |sectors| (sectors * SECTOR).min(data.len()));
            file.write_all_at(&data[..length], *offset)?;
        }
        Ok(())
    }
}

/// At most `limit` moments, spread over the whole log: every flush, and between two flushes the
/// writes in their order, some of them only, and the last one torn. The same seed gives the same.
#[must_use]
pub fn cuts(log: &WriteLog, limit: usize, seed: u64) -> Vec<Cut> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all = Vec::new();
    let mut begin = 0;
    let flushes = log.entries.iter().enumerate().filter(|(_, entry)| **entry == Entry::Flush);
    let ends = flushes.map(|(index, _)| index).chain([log.entries.len()]);
    for end in ends {
        all.push(Cut { durable: begin, survived: Vec::new(), torn: None });
        let writes: Vec<usize> = (begin..end)
            .filter(|index| matches!(log.entries.get(*index), Some(Entry::Write { .. })))
            .collect();
        if !writes.is_empty() {
            // In their order, up to somewhere.
            let length = random.usize(1..=writes.len());
            let ordered = writes[..length].to_vec();
            all.push(Cut { durable: begin, survived: ordered.clone(), torn: None });
            // The same, with the last one torn.
            if let Some(Entry::Write { data, .. }) =
                ordered.last().and_then(|at| log.entries.get(*at))
                && data.len() > SECTOR
            {
                let torn = Some(random.usize(1..data.len() / SECTOR));
                all.push(Cut { durable: begin, survived: ordered, torn });
            }
            // Some of them, as a disk with a cache may have it.
            let mut some: Vec<usize> = writes.iter().copied().filter(|_| random.bool()).collect();
            random.shuffle(&mut some);
            all.push(Cut { durable: begin, survived: some, torn: None });
        }
        begin = end;
    }
    all.push(Cut { durable: log.entries.len(), survived: Vec::new(), torn: None });
    if all.len() <= limit {
        return all;
    }
    // An even sample, so that every part of an update is in it.
    (0..limit).map(|index| all[index * (all.len() - 1) / (limit - 1).max(1)].clone()).collect()
}
