//! Files that are sealed by fs-verity from the first boot on.
//!
//! Sealing is the kernel's, on a mounted file system. Here what it keeps of a sealed file is
//! written by hand: into the folder that the file system is made from, behind the file's bytes.
//! When the file system is made, the file gets its right size back, and the flag.
//!
//! ```text
//! 0                the file's bytes; then a hole
//! next 64 KiB      the Merkle tree (`updraft_composefs::MerkleTree`)
//! then one block   the descriptor, zeroes, and as the last four bytes its size (LE)
//! ```
//!
//! Source: `Documentation/filesystems/ext4/verity.rst` of Linux.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_composefs::{BLOCK_SIZE, MerkleTree, TreeBlock};
use updraft_fs::FileKind;
use updraft_repo::composefs::{self, DIGEST, Digests};
use updraft_repo::{Config, Repo, Wanted};
use updraft_sysroot::{COMPOSEFS_IMAGE, Composefs, DeploymentId, Sysroot};
use updraft_task::Context;

use crate::{Error, Result};

const GROUP: &str = "ex-integrity";
const KEY: &str = "fsverity";
/// Before it came `GROUP`.
const OLD_GROUP: &str = "ex-fsverity";

/// Where the tree begins: at a multiple of this.
const TREE_ALIGNMENT: u64 = 1 << 16;

/// The repository's configuration as it is to be in the image. Until then nothing is sealed, for
/// a file that this machine's kernel has sealed could not be changed any more.
#[derive(Debug)]
pub(crate) struct Postponed(Arc<Config>);

/// A file of the file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Its path from the root of the file system.
    pub(crate) path: PathBuf,
    /// How long it is without its seal.
    pub(crate) size: u64,
}

impl Postponed {
    /// Turns sealing off.
    pub(crate) fn new(repo: &Repo) -> Result<Self> {
        let config = repo.config();
        repo.edit_config(|file| {
            file.remove_group(OLD_GROUP);
            file.set(GROUP, KEY, "no");
        })?;
        Ok(Self(config))
    }

    /// Gives the repository its configuration, and the deployment its composefs image. Gives the
    /// files that the device would have sealed: all objects where that is configured, or where
    /// the deployment demands it and nothing else is said; and with these, or where an image is
    /// wanted at boot, that.
    pub(crate) fn resume(
        self,
        ctx: &Context,
        sysroot: &Sysroot,
        root: &Path,
        deployment: &DeploymentId,
    ) -> Result<Vec<PathBuf>> {
        let (repo, config) = (sysroot.repo(), self.0);
        let wanted = sysroot.composefs(deployment)?;
        let is_said = config.key_file().get(GROUP, KEY).is_some();
        let demanded = matches!(wanted, Composefs::Verity | Composefs::Signed) && !is_said;
        let objects = demanded || config.fsverity != Wanted::No;
        let mut paths = if objects { objects_of(ctx, repo)? } else { Vec::new() };
        if objects || wanted != Composefs::No || config.composefs != Wanted::No {
            let path = deployment.path().join(COMPOSEFS_IMAGE);
            let (commit, _) = repo.load_commit(&deployment.checksum)?;
            let all = objects || commit.metadata.get(DIGEST).is_some();
            let digests = if all { Digests::All } else { Digests::None };
            // What the deployment has was made while no object had a seal, and may be sealed.
            composefs::checkout(ctx, repo, &deployment.checksum, root.join(&path), digests)?;
            paths.push(path);
        }
        repo.edit_config(|file| {
            *file = config.key_file().clone();
            if demanded && config.fsverity == Wanted::No {
                // Updates that nobody seals would not boot.
                file.set(GROUP, KEY, "yes");
            }
        })?;
        Ok(paths)
    }
}

fn objects_of(ctx: &Context, repo: &Repo) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in repo.objects_dir().sorted_entries()? {
        if entry.kind != FileKind::Directory {
            continue;
        }
        ctx.check()?;
        let folder = Path::new("ostree/repo/objects").join(&entry.name);
        for object in repo.objects_dir().open_dir(&entry.name)?.sorted_entries()? {
            let is_file = object.name.to_string_lossy().ends_with(".file");
            if is_file && object.kind == FileKind::Regular {
                paths.push(folder.join(&object.name));
            }
        }
    }
    Ok(paths)
}

/// Writes the seals of these files behind their bytes.
pub(crate) fn write(ctx: &Context, root: &Path, paths: Vec<PathBuf>) -> Result<Vec<Sealed>> {
    let mut sealed = Vec::with_capacity(paths.len());
    for path in paths {
        ctx.check()?;
        let file = root.join(&path);
        let size = append(&file).map_err(Error::file("write the fs-verity data of", &file))?;
        sealed.push(Sealed { path, size });
    }
    Ok(sealed)
}

/// Gives the size that the file had before.
fn append(path: &Path) -> io::Result<u64> {
    let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
    let file = File::options().read(true).write(true).open(path)?;
    let size = file.metadata()?.len();
    let begin = size.checked_next_multiple_of(TREE_ALIGNMENT).ok_or_else(too_large)?;
    let put = |blocks: Vec<TreeBlock>| {
        blocks.iter().try_for_each(|block| {
            file.write_all_at(&block.bytes, begin.saturating_add(block.offset))
        })
    };
    let mut tree = MerkleTree::new(size);
    // Behind its bytes there is its tree already.
    let mut reader = (&file).take(size);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        put(tree.update(bytes))?;
    }
    let seal = tree.finish().ok_or(io::ErrorKind::UnexpectedEof)?;
    put(seal.blocks)?;
    let descriptor_len = u32::try_from(seal.descriptor.len()).map_err(|_| too_large())?;
    let mut last = seal.descriptor.to_vec();
    last.resize(BLOCK_SIZE - size_of::<u32>(), 0);
    last.extend_from_slice(&descriptor_len.to_le_bytes());
    file.write_all_at(&last, begin.saturating_add(seal.tree_len))?;
    Ok(size)
}
