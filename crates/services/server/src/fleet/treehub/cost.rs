//! What a commit costs those who fetch it: how many bytes they lack.

use std::collections::HashSet;
use std::io::Read as _;

use updraft_ostree::delta::{DeltaFormat, DeltaName, SignedDelta, Superblock};
use updraft_ostree::{Checksum, Commit, MAX_METADATA_SIZE, ObjectName, ObjectType, RepoMode};
use updraft_repo::{Repo, traverse};
use updraft_task::Context;

use super::Treehub;
use crate::contents::{Key, read_error};
use crate::error::{Error, Result};
use crate::fleet::Fleet;

impl Fleet {
    /// How many bytes of the commit `to` a device that runs `from` fetches at most: by the static delta
    /// between the two, or else all objects that only `to` has. None when that is not known here.
    pub(in crate::fleet) fn bytes_of_commit(
        &self,
        from: Option<&str>,
        to: &str,
    ) -> Result<Option<u64>> {
        let Ok(to) = to.parse::<Checksum>() else { return Ok(None) };
        let Some((new, length)) = self.commit(&to)? else { return Ok(None) };
        // What it runs may have come from elsewhere; then nobody knows what it shares with this one.
        let old = match from.and_then(|from| from.parse::<Checksum>().ok()) {
            Some(from) => self.commit(&from)?.map(|(commit, _)| (from, commit)),
            None => None,
        };
        for format in [DeltaFormat::Updraft, DeltaFormat::Ostree] {
            let from = old.as_ref().map(|(from, _)| *from);
            let name = DeltaName::new(from, to).in_format(format);
            if let Some(bytes) = self.bytes_of_delta(&name)? {
                return Ok(Some(bytes));
            }
        }
        let recorded = recorded(old.as_ref().map(|(_, commit)| commit), &new);
        if let Some(bytes) = recorded {
            return Ok(Some(bytes.saturating_add(length)));
        }
        match &self.treehub {
            Treehub::Folder(repo) => stored(repo, old.map(|(from, _)| from), &to).map(Some),
            // Asking a store for each of a hundred thousand objects takes too long.
            Treehub::Bucket(_) => Ok(None),
        }
    }

    /// A commit that is here, and how long its object is.
    fn commit(&self, checksum: &Checksum) -> Result<Option<(Commit, u64)>> {
        let object = ObjectName::new(*checksum, ObjectType::Commit);
        let path = format!("objects/{}", object.loose_path(RepoMode::Archive));
        let Some(bytes) = self.read_small(&path)? else { return Ok(None) };
        let commit = Commit::decode(&bytes).map_err(|error| damaged("a commit", &error))?;
        Ok(Some((commit, bytes.len() as u64)))
    }

    fn bytes_of_delta(&self, name: &DeltaName) -> Result<Option<u64>> {
        let Some(bytes) = self.read_small(&name.superblock_path())? else { return Ok(None) };
        let decoded = if SignedDelta::is_signed(&bytes) {
            SignedDelta::decode(&bytes).and_then(|signed| Superblock::decode(&signed.superblock))
        } else {
            Superblock::decode(&bytes)
        };
        let superblock = decoded.map_err(|error| damaged("a static delta", &error))?;
        let parts = superblock.parts.iter().enumerate();
        let parts = parts.filter(|(number, _)| superblock.inline_part(*number).is_none());
        let parts = parts.map(|(_, part)| part.size);
        let others = superblock.fallbacks.iter().map(|fallback| fallback.compressed_size);
        Ok(Some(parts.chain(others).fold(bytes.len() as u64, u64::saturating_add)))
    }

    fn read_small(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(found) = self.contents.find(&Key::treehub(path))? else { return Ok(None) };
        if found.length > MAX_METADATA_SIZE as u64 {
            return Err(Error::TooLarge {
                what: "an object of the OSTree repository",
                limit: MAX_METADATA_SIZE as u64,
            });
        }
        let mut bytes = Vec::new();
        found.read(0, found.length)?.read_to_end(&mut bytes).map_err(read_error)?;
        Ok(Some(bytes))
    }
}

/// By what commits say of their objects, when those that matter do.
fn recorded(old: Option<&Commit>, new: &Commit) -> Option<u64> {
    let sizes = |commit: &Commit| commit.sizes().ok().flatten();
    let known: HashSet<ObjectName> = match old {
        Some(old) => sizes(old)?.into_iter().map(|one| one.object).collect(),
        None => HashSet::new(),
    };
    let lacking = sizes(new)?.into_iter().filter(|one| !known.contains(&one.object));
    Some(lacking.map(|one| one.archived).fold(0, u64::saturating_add))
}

/// By the objects themselves.
fn stored(repo: &Repo, old: Option<Checksum>, new: &Checksum) -> Result<u64> {
    let failed = Error::repo("count the bytes of a commit");
    let count = || {
        let context = Context::silent();
        let (mut known, mut wanted) = (HashSet::new(), HashSet::new());
        if let Some(old) = old {
            traverse::reachable(&context, repo, &old, &mut known)?;
        }
        traverse::reachable(&context, repo, new, &mut wanted)?;
        wanted.difference(&known).try_fold(0_u64, |sum, object| {
            repo.stored_size(object).map(|size| sum.saturating_add(size))
        })
    };
    count().map_err(failed)
}

fn damaged(what: &'static str, error: &updraft_ostree::Error) -> Error {
    Error::Stored { what, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use updraft_ostree::gvariant::Value;
    use updraft_ostree::write_varuint;

    use super::*;

    fn commit(objects: Option<&[(u8, u64)]>) -> Commit {
        let mut commit = Commit {
            metadata: updraft_ostree::Metadata::new(),
            parent: None,
            related: Vec::new(),
            subject: String::new(),
            body: String::new(),
            timestamp: 0,
            root_dirtree: Checksum::of(b"tree"),
            root_dirmeta: Checksum::of(b"meta"),
        };
        if let Some(objects) = objects {
            let elements = objects.iter().map(|(number, size)| {
                let mut element = Checksum::of(&[*number]).as_bytes().to_vec();
                write_varuint(&mut element, *size);
                write_varuint(&mut element, 1_000_000);
                element.push(ObjectType::File.number());
                element
            });
            commit.metadata.insert("ostree.sizes", Value::byte_arrays(elements));
        }
        commit
    }

    #[test]
    fn sizes_count_where_both_commits_say_them() {
        let (old, new) = (commit(Some(&[(1, 10), (2, 20)])), commit(Some(&[(2, 20), (3, 300)])));
        assert_eq!(recorded(Some(&old), &new), Some(300));
        assert_eq!(recorded(None, &new), Some(320));
        let silent = commit(None);
        assert_eq!((recorded(Some(&silent), &new), recorded(Some(&old), &silent)), (None, None));
    }
}
