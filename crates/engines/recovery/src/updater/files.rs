//! Functions about files of mounted file systems. Scripts that call them run from their beginning
//! after a power cut: each may be called again when it has done its work, or half of it. All of it
//! is made durable before the script is over.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Component, Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, TempFile, remove_tree, symlink_by_way_of};
use updraft_payload::Entry;

use super::Updater;
use super::evaluate::{Value, truth};
use crate::{Error, Result};

/// Files are as old as Android: the same package makes the same ones.
const MTIME: i64 = 1_217_592_000;
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;
/// What is here is gone after the next start, or not about the system.
const PASSING: [&str; 2] = ["/tmp/", "/cache/"];

impl Updater<'_> {
    /// `delete` and `delete_recursive`: how many are gone by it.
    pub(super) fn delete(&self, paths: &[String], with_content: bool) -> Result<Value> {
        let mut count = 0_u32;
        for path in paths {
            self.touches(path)?;
            let own = self.system.path(path);
            let Ok((dir, name)) = parent_of(&own) else { continue };
            if dir.exists(&name)? {
                if with_content {
                    remove_tree(&dir, &name)?;
                } else {
                    dir.unlink(&name)?;
                }
                count += 1;
            }
        }
        Ok(count.to_string().into_bytes())
    }

    /// `rename`. One that was done before is done.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<Value> {
        self.touches(to)?;
        let (source, target) = (self.system.path(from), self.system.path(to));
        let is_done = source.symlink_metadata().is_err() && target.symlink_metadata().is_ok();
        if !is_done {
            let (old, name) = parent_of(&source)?;
            let (new, target) = made_parent_of(&target)?;
            old.rename(&name, &new, &target)?;
        }
        Ok(to.as_bytes().to_vec())
    }

    /// `symlink`: links to a target, in the place of what is there.
    pub(super) fn symlink(&self, target: &str, links: &[String]) -> Result<Value> {
        for link in links {
            self.touches(link)?;
            let (dir, name) = made_parent_of(&self.system.path(link))?;
            symlink_by_way_of(&dir, (&dir, &name), target)?;
        }
        Ok(Value::new())
    }

    /// `package_extract_dir`: all entries below a folder of the package.
    pub(super) fn extract_folder(&self, folder: &str, to: &str) -> Result<()> {
        let prefix = format!("{}/", folder.trim_matches('/'));
        self.touches(&format!("{to}/"))?;
        let own = self.system.path(to);
        for entry in self.package.entries() {
            self.context.check()?;
            let Some(rest) = entry.name.strip_prefix(prefix.as_bytes()) else { continue };
            let name = std::str::from_utf8(rest).ok().filter(|name| is_below(name));
            let name = name.ok_or_else(|| {
                let entry = String::from_utf8_lossy(&entry.name);
                Error::entry(&entry, Kind::Invalid, "its name leads out of its folder")
            })?;
            if name.is_empty() || name.ends_with('/') {
                Dir::create_all(own.join(name), FOLDER_MODE)?;
            } else {
                self.write_entry(entry, &own.join(name))?;
            }
        }
        Ok(())
    }

    /// `package_extract_file` to a path that is no device.
    pub(super) fn extract_to_file(&self, name: &str, to: &str) -> Result<()> {
        self.touches(to)?;
        let missing = || Error::entry(name, Kind::Invalid, "there is none");
        let entry = self.package.zip.entry(name).ok_or_else(missing)?;
        self.write_entry(entry, &self.system.path(to))
    }

    fn write_entry(&self, entry: &Entry, to: &Path) -> Result<()> {
        let (dir, name) = made_parent_of(to)?;
        let mut file = TempFile::new_in(&dir)?;
        let mut content = self.package.zip.reader(entry)?;
        std::io::copy(&mut content, &mut file).map_err(Error::file("write", to))?;
        file.set_mode(FILE_MODE)?;
        file.persist_replace(&dir, &name)?;
        Ok(dir.set_mtime(&name, MTIME)?)
    }

    /// Replaces a file, durably when it returns. Owner and mode stay.
    pub(super) fn replace_file(&self, path: &str, content: &[u8], like: &Path) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;

        self.touches(path)?;
        let own = self.system.path(path);
        let like = like.symlink_metadata().map_err(Error::file("look at", like))?;
        let (dir, name) = made_parent_of(&own)?;
        let mut file = TempFile::new_in(&dir)?;
        file.write_all(content).map_err(Error::file("write", &own))?;
        file.set_owner(like.uid(), like.gid())?;
        file.set_mode(like.mode())?;
        file.sync()?;
        // Commit point: the name.
        file.persist_replace(&dir, &name)?;
        Ok(dir.sync()?)
    }

    /// The content of a file. `None`: there is none.
    pub(super) fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let own = self.system.path(path);
        let file = match File::open(&own) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::file("open", &own))?,
        };
        let mut bytes = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(Error::file("read", &own))?;
        if bytes.len() as u64 > limit {
            return Err(Error::entry(path, Kind::Exhausted, "it is larger than any real one"));
        }
        Ok(Some(bytes))
    }

    /// Says that the system is being written, when that is about it.
    pub(super) fn touches(&self, path: &str) -> Result<()> {
        self.touched_files.set(true);
        let path = format!("/{}", path.trim_start_matches('/'));
        if PASSING.iter().any(|passing| path.starts_with(passing)) { Ok(()) } else { self.begins() }
    }

    /// Makes durable what files became. A file system may be mounted anywhere.
    pub(super) fn sync_files(&self) {
        if self.touched_files.get() {
            rustix::fs::sync();
        }
    }

    /// `sha1_check`: the SHA-1 of a value, or whether it is one of these.
    pub(super) fn sha1_check(value: &[u8], hashes: &[String]) -> Value {
        let own = hex::encode(crate::block::sha1(value));
        if hashes.is_empty() {
            return own.into_bytes();
        }
        let same = hashes.iter().find(|hash| hash.eq_ignore_ascii_case(&own));
        same.map_or_else(|| truth(false), |hash| hash.clone().into_bytes())
    }
}

/// The folder of a path, and the last part of it.
pub(super) fn parent_of(path: &Path) -> Result<(Dir, PathBuf)> {
    let (parent, name) = split(path)?;
    Ok((Dir::open(parent)?, name))
}

fn made_parent_of(path: &Path) -> Result<(Dir, PathBuf)> {
    let (parent, name) = split(path)?;
    Ok((Dir::create_all(parent, FOLDER_MODE)?, name))
}

fn split(path: &Path) -> Result<(&Path, PathBuf)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::file("open", path)(std::io::ErrorKind::InvalidInput.into()));
    };
    Ok((parent, name.into()))
}

/// Whether a name stays below the folder in which it is.
fn is_below(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
