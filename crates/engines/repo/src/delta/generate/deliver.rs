//! Where a delta goes: a folder of the repository, or a file with its parts beside it.

use std::path::Path;

use updraft_delta::ReadAt as _;
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile, atomic_write, remove_tree};
use updraft_ostree::MAX_METADATA_SIZE;
use updraft_ostree::delta::{DeltaName, PartHeader, SignedDelta, Superblock};
use updraft_ostree::gvariant::Value;

use super::{GenerateOptions, Sign, Target};
use crate::repo::DIR_MODE;
use crate::room::{Room, Scratch};
use crate::tmp::DELTA_PREFIX;
use crate::{Error, Repo, Result};

const FILE_MODE: u32 = 0o644;

/// A delta that is being written.
pub(super) struct Delivery {
    /// Where parts and superblock are written, and the room for them.
    to: Scratch,
    superblock: String,
    inline: bool,
    /// The folder that replaces the repository's, when all is in it.
    staged: Option<Staged>,
}

struct Staged {
    root: Dir,
    tmp: Dir,
    name: String,
    target: String,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a failure this is all there is; after success it is gone or holds the old delta.
        let _ = remove_tree(&self.tmp, &self.name);
    }
}

impl Delivery {
    /// Looks at the target before any work is done.
    pub(super) fn begin(
        repo: &Repo,
        name: &DeltaName,
        options: &GenerateOptions<'_>,
        room: &Room,
    ) -> Result<Self> {
        let inline = options.inline;
        match &options.target {
            Target::File(path) => {
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let dir = Dir::open(folder.unwrap_or(Path::new(".")))?;
                let superblock =
                    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                        Error::other(Kind::Invalid, "write a delta: its file has no name")
                    })?;
                let here = dir.own_metadata()?.device == repo.objects_dir().own_metadata()?.device;
                let room = if here { room.clone() } else { room.uncounted() };
                let to = Scratch { dir, room };
                Ok(Self { to, superblock: superblock.to_owned(), inline, staged: None })
            }
            Target::Repository => {
                let tmp = repo.tmp_dir()?;
                let staged = format!(
                    "{DELTA_PREFIX}{}-{}",
                    std::process::id(),
                    name.path().replace('/', "-")
                );
                remove_tree(&tmp, &staged)?;
                let dir = tmp.ensure_dir(&staged, DIR_MODE)?;
                let staged =
                    Staged { root: repo.root().clone(), tmp, name: staged, target: name.path() };
                let superblock = "superblock".to_owned();
                let to = Scratch { dir, room: room.clone() };
                Ok(Self { to, superblock, inline, staged: Some(staged) })
            }
        }
    }

    /// Where files without names are made.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.to
    }

    /// Takes a finished part.
    pub(super) fn part(
        &self,
        superblock: &mut Superblock,
        number: usize,
        header: &PartHeader,
        file: TempFile,
    ) -> Result<()> {
        if !self.inline {
            file.set_mode(FILE_MODE)?;
            file.sync()?;
            return Ok(file.persist_replace(&self.to.dir, number.to_string())?);
        }
        let room = MAX_METADATA_SIZE as u64;
        if header.size > room {
            return Err(too_large());
        }
        let mut bytes = vec![0; usize::try_from(header.size).unwrap_or(0)];
        file.file()
            .read_exact_at(&mut bytes, 0)
            .map_err(|error| Error::io("read a delta part again", error))?;
        let content = bytes.split_off(1.min(bytes.len()));
        let compression = bytes.first().copied().unwrap_or_default();
        let value = Value::Tuple(vec![Value::Byte(compression), Value::Bytes(content)]);
        superblock.metadata.insert(superblock.name.part_path(number), value);
        Ok(())
    }

    /// Writes the superblock, which makes the delta one.
    pub(super) fn finish(self, superblock: &Superblock, sign: Option<&Sign<'_>>) -> Result<()> {
        let mut bytes = superblock.encode();
        if let Some(sign) = sign {
            let signatures = sign(&bytes)?;
            bytes = SignedDelta { superblock: bytes, signatures }.encode();
        }
        if bytes.len() > MAX_METADATA_SIZE {
            return Err(too_large());
        }
        self.to.room.take("write a delta", bytes.len() as u64)?;
        atomic_write(&self.to.dir, &self.superblock, &bytes, FILE_MODE)?;
        let Some(staged) = &self.staged else { return Ok(()) };
        let Some((folder, rest)) = staged.target.rsplit_once('/') else { return Ok(()) };
        let target = staged.root.ensure_dir_all(folder, DIR_MODE)?;
        self.to.dir.sync()?;
        // Commit point: the folder appears whole, or takes the place of the one before.
        match staged.tmp.rename_new(&staged.name, &target, rest) {
            Err(error) if error.is_already_exists() => {
                staged.tmp.exchange(&staged.name, &target, rest)?;
            }
            renamed => renamed?,
        }
        Ok(target.sync()?)
    }
}

fn too_large() -> Error {
    let message = format!(
        "write a delta: with its parts inside, the superblock exceeds {MAX_METADATA_SIZE} bytes"
    );
    Error::other(Kind::Exhausted, message)
}
