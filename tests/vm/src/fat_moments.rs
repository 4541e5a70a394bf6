//! What a FAT file system looks like at each moment of a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;

use crate::fat::{Damage, fat_damage};
use crate::write_log::{Entry, WriteLog};
use crate::{DiskFile, Part};

/// A write, from the begin of the partition.
struct Write<'a> {
    offset: u64,
    data: &'a [u8],
}

/// What would have to be mended at any moment, and after how many operations that was first seen.
///
/// Looked at are, between each two flushes: the writes in their order up to each of them, each of them
/// alone, and all of them but one. `scratch` is written to.
///
/// # Errors
/// When the file system cannot be written or looked at.
pub fn fat_damage_at_any_moment(
    before: &DiskFile,
    part: &Part,
    log: &WriteLog,
    scratch: &Path,
) -> Result<BTreeMap<Damage, usize>> {
    before.copy_part(part, scratch)?;
    let file = File::options().read(true).write(true).open(scratch)?;
    let mut found = BTreeMap::new();
    let mut begin = 0;
    let entries = &log.entries;
    let flushes = entries.iter().enumerate().filter(|(_, entry)| **entry == Entry::Flush);
    let ends: Vec<usize> = flushes.map(|(at, _)| at).chain([entries.len()]).collect();
    for end in ends {
        let writes: Vec<Write<'_>> = entries
            .get(begin..end)
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| within(entry, part))
            .collect();
        for survived in subsets(writes.len()) {
            let kept = keep(&file, &writes)?;
            for at in survived {
                file.write_all_at(writes[at].data, writes[at].offset)?;
            }
            for damage in fat_damage(scratch)? {
                found.entry(damage).or_insert(begin);
            }
            for (offset, data) in kept {
                file.write_all_at(&data, offset)?;
            }
        }
        for write in &writes {
            file.write_all_at(write.data, write.offset)?;
        }
        begin = end;
    }
    for damage in fat_damage(scratch)? {
        found.entry(damage).or_insert(entries.len());
    }
    Ok(found)
}

/// The write if it is one to the partition; no write crosses its border.
fn within<'a>(entry: &'a Entry, part: &Part) -> Option<Write<'a>> {
    let Entry::Write { offset, data } = entry else { return None };
    let offset = offset.checked_sub(part.offset).filter(|offset| *offset < part.size)?;
    Some(Write { offset, data })
}

/// What is there before any of these.
fn keep(file: &File, writes: &[Write<'_>]) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut kept = Vec::with_capacity(writes.len());
    for write in writes {
        let mut old = vec![0; write.data.len()];
        file.read_exact_at(&mut old, write.offset)?;
        kept.push((write.offset, old));
    }
    Ok(kept)
}

/// Which of `count` writes are there: each once.
fn subsets(count: usize) -> BTreeSet<Vec<usize>> {
    let ordered = (1..=count).map(|length| (0..length).collect());
    let alone = (0..count).map(|at| vec![at]);
    let without = (0..count).map(|missing| (0..count).filter(|at| *at != missing).collect());
    ordered.chain(alone).chain(without).filter(|kept: &Vec<usize>| !kept.is_empty()).collect()
}
