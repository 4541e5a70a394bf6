//! Lists of deltas: `delta-indexes/`, one file for each target, and the summary's.

use std::collections::BTreeMap;

use updraft_fs::FileKind;
use updraft_ostree::delta::{DeltaIndex, DeltaName};
use updraft_ostree::{Checksum, MAX_METADATA_SIZE};
use updraft_task::Context;

use super::store::list;
use crate::config::CORE;
use crate::repo::DIR_MODE;
use crate::staging::Durable;
use crate::{Repo, Result};

/// The key by which the configuration says that there are indexes.
const INDEXED_DELTAS: &str = "indexed-deltas";

/// All deltas of the repository with the checksums of their superblocks.
pub(crate) fn listing(repo: &Repo) -> Result<DeltaIndex> {
    let mut index = DeltaIndex::new();
    for name in list(repo)? {
        index.insert(name, superblock_checksum(repo, &name)?);
    }
    Ok(index)
}

fn superblock_checksum(repo: &Repo, name: &DeltaName) -> Result<Checksum> {
    let bytes = repo.root().read(name.superblock_path(), MAX_METADATA_SIZE as u64)?;
    Ok(Checksum::of(&bytes))
}

/// The targets that have an index.
pub fn list_indexes(repo: &Repo) -> Result<Vec<Checksum>> {
    let mut targets = Vec::new();
    let Some(indexes) = repo.root().try_open_dir("delta-indexes")? else { return Ok(targets) };
    for folder in indexes.sorted_entries()? {
        let Some(prefix) = folder.name.to_str() else { continue };
        if folder.kind != FileKind::Directory {
            continue;
        }
        for entry in indexes.open_dir(prefix)?.sorted_entries()? {
            let name = entry.name.to_str().map(|name| DeltaName::index_target(prefix, name));
            if let Some(Ok(target)) = name {
                targets.push(target);
            }
        }
    }
    Ok(targets)
}

/// Writes the indexes anew: that of `only`, or all. An index whose deltas are gone is removed.
///
/// The configuration says from then on that there are indexes: whoever pulls without a summary
/// looks there.
pub fn reindex(ctx: &Context, repo: &Repo, only: Option<&Checksum>) -> Result<()> {
    if repo.config().key_file().get_bool(CORE, INDEXED_DELTAS)? != Some(true) {
        repo.edit_config(|file| file.set(CORE, INDEXED_DELTAS, "true"))?;
    }
    let mut wanted: BTreeMap<Checksum, DeltaIndex> = BTreeMap::new();
    for name in list(repo)? {
        ctx.check()?;
        if only.is_none_or(|only| *only == name.to) {
            let checksum = superblock_checksum(repo, &name)?;
            wanted.entry(name.to).or_default().insert(name, checksum);
        }
    }
    let old = list_indexes(repo)?.into_iter().filter(|to| only.is_none_or(|only| only == to));
    for target in old {
        if !wanted.contains_key(&target) {
            repo.root().try_unlink(DeltaName::index_path(&target))?;
        }
    }
    for (target, index) in wanted {
        let (path, bytes) = (DeltaName::index_path(&target), index.encode());
        if repo.root().try_read(&path, MAX_METADATA_SIZE as u64).ok().flatten()
            == Some(bytes.clone())
        {
            continue;
        }
        if let Some((folder, _)) = path.rsplit_once('/') {
            repo.root().ensure_dir_all(folder, DIR_MODE)?;
        }
        repo.replace(&path, &bytes, (0o644, Durable::Yes))?;
    }
    Ok(())
}
