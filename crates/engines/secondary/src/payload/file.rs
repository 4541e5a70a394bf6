//! An image that is a file, and a file with its name beside it: firmware that somebody else loads,
//! and aktualizr's virtual secondaries.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, TempFile, atomic_write_path};
use updraft_task::Context;
use updraft_tuf::sha256_hex;

use super::{NewImage, Observed, Payload};
use crate::{Error, Installation, Result};

/// The longest name of a target that is read.
const MAX_NAME: u64 = 4096;

/// A file that is replaced as a whole.
#[derive(Debug)]
pub struct FilePayload {
    path: PathBuf,
    name_path: Option<PathBuf>,
    /// What the file was when it was hashed last: size, inode, time of change; and the hash.
    seen: Option<((u64, u64, i64, i64), String)>,
}

impl FilePayload {
    /// The image in `path`, and its target's name in `name_path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, name_path: Option<PathBuf>) -> Self {
        Self { path: path.into(), name_path, seen: None }
    }

    /// Where the image before this one is kept until the vehicle confirms.
    fn previous(&self) -> PathBuf {
        with_suffix(&self.path, ".previous")
    }

    fn write_name(&self, name: &str) -> Result<()> {
        let Some(path) = &self.name_path else { return Ok(()) };
        make_parent(path)?;
        Ok(atomic_write_path(path, name.as_bytes(), 0o644)?)
    }

    fn hash(&mut self) -> Result<Option<(String, u64)>> {
        let failed = Error::io("read", &self.path);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(Error::io("read", &self.path))?;
        let now = (metadata.size(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        if let Some((before, sha256)) = &self.seen
            && *before == now
        {
            return Ok(Some((sha256.clone(), metadata.size())));
        }
        let (sha256, length) = hash_of(&mut file).map_err(failed)?;
        self.seen = Some((now, sha256.clone()));
        Ok(Some((sha256, length)))
    }
}

impl Payload for FilePayload {
    fn observe(&mut self, _ctx: &Context) -> Result<Option<Observed>> {
        let Some((sha256, length)) = self.hash()? else {
            return Ok(Some(Observed { name: None, sha256: sha256_hex(b""), length: 0 }));
        };
        let name = self.name_path.as_ref().and_then(|path| {
            let mut name = String::new();
            File::open(path).ok()?.take(MAX_NAME).read_to_string(&mut name).ok()?;
            Some(name.trim().to_owned()).filter(|name| !name.is_empty())
        });
        Ok(Some(Observed { name, sha256, length }))
    }

    fn install(&mut self, _ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        make_parent(&self.path)?;
        // A file that is the new one already came from an installation that died after its commit
        // point: what it kept as the previous one stays that.
        if self.hash()?.is_none_or(|(sha256, _)| sha256 != image.sha256) {
            replace(image.path, &self.path, &self.previous())?;
        }
        self.write_name(image.filepath)?;
        Ok(Installation::Done)
    }

    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        self.install(ctx, image)
    }

    fn revert(&mut self, _ctx: &Context, previous: Option<NewImage<'_>>) -> Result<Installation> {
        let (dir, name) = folder_of(&self.path)?;
        let kept = self.previous();
        let kept = kept.file_name().unwrap_or_default();
        if dir.exists(kept)? {
            // Commit point of going back: this rename.
            dir.rename(kept, &dir, name)?;
        } else if previous.is_none() {
            dir.try_unlink(name)?;
        }
        dir.sync()?;
        self.write_name(previous.map_or("", |previous| previous.filepath))?;
        Ok(Installation::Done)
    }

    fn confirm(&mut self) -> Result<()> {
        let (dir, _) = folder_of(&self.path)?;
        dir.try_unlink(self.previous().file_name().unwrap_or_default())?;
        Ok(())
    }
}

/// Puts a copy of `source` in place of `path`, and keeps what was there as `kept`.
fn replace(source: &Path, path: &Path, kept: &Path) -> Result<()> {
    let (dir, name) = folder_of(path)?;
    let kept = kept.file_name().unwrap_or_default();
    let file = copy_into(&dir, source)?;
    if dir.exists(name)? {
        dir.try_unlink(kept)?;
        dir.link(&dir, name, kept)?;
        dir.sync()?;
    }
    // Commit point of the installation: this rename.
    file.persist_replace(&dir, name)?;
    dir.sync()?;
    Ok(())
}

/// A durable copy without a name.
pub(super) fn copy_into(dir: &Dir, source: &Path) -> Result<TempFile> {
    let content = File::open(source).map_err(Error::io("read", source))?;
    let file = TempFile::new_in(dir)?;
    updraft_fs::copy::contents(&content, file.file()).map_err(Error::io("copy", source))?;
    file.set_mode(0o644)?;
    file.sync()?;
    Ok(file)
}

/// The folder of a file, and its name.
pub(super) fn folder_of(path: &Path) -> Result<(Dir, &std::ffi::OsStr)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((Dir::open(parent.unwrap_or(Path::new(".")))?, path.file_name().unwrap_or_default()))
}

/// Makes the folder of a file.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    Dir::create_all(parent, 0o755)?;
    Ok(())
}

/// `path` with something behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// SHA-256 and length of a file from where it stands.
pub(crate) fn hash_of(file: &mut File) -> std::io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0_u64;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hex::encode(hash.finalize()), length)),
            Ok(read) => {
                hash.update(buffer.get(..read).unwrap_or_default());
                length = length.saturating_add(read as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
