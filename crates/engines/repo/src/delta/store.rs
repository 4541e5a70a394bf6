//! Which deltas a repository has, and where the pieces of one lie.

use std::path::{Path, PathBuf};

use updraft_fs::{Dir, FileKind, remove_tree};
use updraft_ostree::MAX_METADATA_SIZE;
use updraft_ostree::delta::{DeltaFormat, DeltaName, PartHeader, SignedDelta, Superblock};

use super::part::{NoPart, Part};
use crate::room::Scratch;
use crate::{Error, Repo, Result};

const MAX_SUPERBLOCK: u64 = MAX_METADATA_SIZE as u64;

/// Where a delta is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In the repository.
    Repository(DeltaName),
    /// A superblock's file, with the parts beside it, or a folder with a file `superblock`.
    Path(PathBuf),
}

/// A delta whose superblock was read.
#[derive(Debug)]
pub struct Delta {
    /// What it consists of.
    pub superblock: Superblock,
    /// The signatures around it, if it is a signed one.
    pub signed: Option<SignedDelta>,
    /// Where the parts are.
    parts: Dir,
    tmp: Scratch,
}

impl Delta {
    /// Reads the superblock of a delta.
    pub fn open(repo: &Repo, location: &Location) -> Result<Self> {
        let (bytes, parts) = match location {
            Location::Repository(name) => {
                let bytes = repo.root().read(name.superblock_path(), MAX_SUPERBLOCK)?;
                (bytes, repo.root().open_dir(name.path())?)
            }
            Location::Path(path) if path.is_dir() => {
                let parts = Dir::open(path)?;
                (parts.read("superblock", MAX_SUPERBLOCK)?, parts)
            }
            Location::Path(path) => {
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let parts = Dir::open(folder.unwrap_or(Path::new(".")))?;
                (parts.read(path.file_name().unwrap_or_default(), MAX_SUPERBLOCK)?, parts)
            }
        };
        let signed = SignedDelta::is_signed(&bytes).then(|| SignedDelta::decode(&bytes));
        let signed = signed.transpose()?;
        let superblock =
            Superblock::decode(signed.as_ref().map_or(&bytes, |signed| &signed.superblock))?;
        Ok(Self { superblock, signed, parts, tmp: repo.scratch()? })
    }

    /// Reads a part and checks that it is the one that the superblock means.
    pub(crate) fn part(&self, number: usize, header: &PartHeader, tmp: &Scratch) -> Result<Part> {
        match read_inline(&self.superblock, number, header, tmp) {
            Err(NoPart) => {}
            Ok(part) => return part,
        }
        let file = Box::new(self.parts.open_file(number.to_string())?);
        Part::open(self.superblock.name.format, number, header, file, tmp)
    }

    /// What a part's program does.
    pub fn part_stats(&self, number: usize) -> Result<super::PartStats> {
        let header = self.superblock.parts.get(number).ok_or_else(|| {
            Error::other(updraft_error::Kind::NotFound, format!("there is no part {number}"))
        })?;
        self.part(number, header, &self.tmp)?.stats(header)
    }
}

/// The part that lies in the superblock itself.
pub(crate) fn read_inline(
    superblock: &Superblock,
    number: usize,
    header: &PartHeader,
    tmp: &Scratch,
) -> Result<Result<Part>, NoPart> {
    let (compression, content) = superblock.inline_part(number).ok_or(NoPart)?;
    let bytes = Box::new([&[compression], content].concat());
    Ok(Part::open(superblock.name.format, number, header, bytes, tmp))
}

/// The deltas in the repository, of each format sorted by the names of their folders.
pub fn list(repo: &Repo) -> Result<Vec<DeltaName>> {
    let mut names = Vec::new();
    for format in DeltaFormat::ALL {
        list_format(repo, format, &mut names)?;
    }
    Ok(names)
}

fn list_format(repo: &Repo, format: DeltaFormat, names: &mut Vec<DeltaName>) -> Result<()> {
    let Some(deltas) = repo.root().try_open_dir(format.folder())? else { return Ok(()) };
    for folder in deltas.sorted_entries()? {
        let Some(prefix) = folder.name.to_str() else { continue };
        if folder.kind != FileKind::Directory {
            continue;
        }
        for entry in deltas.open_dir(prefix)?.sorted_entries()? {
            let name = entry.name.to_str().map(|rest| DeltaName::from_folder(prefix, rest));
            // Anything else is not ours, and harms nobody.
            let Some(Ok(name)) = name else { continue };
            let name = name.in_format(format);
            if repo.root().exists(name.superblock_path())? {
                names.push(name);
            }
        }
    }
    Ok(())
}

/// Whether the repository has this delta.
pub fn exists(repo: &Repo, name: &DeltaName) -> Result<bool> {
    Ok(repo.root().exists(name.superblock_path())?)
}

/// Removes a delta; says whether there was one.
pub fn delete(repo: &Repo, name: &DeltaName) -> Result<bool> {
    let path = name.path();
    let Some((folder, rest)) = path.rsplit_once('/') else { return Ok(false) };
    let Some(dir) = repo.root().try_open_dir(folder)? else { return Ok(false) };
    if !dir.exists(rest)? {
        return Ok(false);
    }
    // First what makes it a delta, so that nobody finds half of one.
    repo.root().try_unlink(name.superblock_path())?;
    remove_tree(&dir, rest)?;
    Ok(true)
}
