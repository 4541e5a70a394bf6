//! Staging folders: `tmp/staging-BOOTID-RANDOM/` and the lock `tmp/staging-BOOTID-RANDOM-lock`.
//!
//! The names and locks are libostree's, so neither program takes or removes what the other uses.
//! A folder left by a process of this boot that died is used again: what it holds is complete,
//! since files appear in it only by link, and a pull continues where it stopped. Folders of other
//! boots may hold files whose bytes were lost, and are removed.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use updraft_fs::{Dir, FileKind, LockFile, LockMode, TempFile, remove_tree};

use crate::repo::SHARED_DIR_MODE;
use crate::{Error, Repo, Result};

const PREFIX: &str = "staging-";
const LOCK_SUFFIX: &str = "-lock";
/// How often another name is tried.
const ATTEMPTS: usize = 100;

/// A staging folder that only this process uses.
#[derive(Debug)]
pub(crate) struct Staging {
    tmp: Dir,
    pub(crate) dir: Dir,
    name: String,
    _lock: LockFile,
    /// Whether a process that died has left objects here.
    pub(crate) is_resumed: bool,
    /// Who a file that is made here belongs to.
    pub(crate) owner: (u32, u32),
    /// Which of `00` … `ff` exist.
    made: Vec<AtomicBool>,
}

impl Staging {
    /// Takes over a folder of this boot that nobody uses, or makes one.
    pub(crate) fn open(repo: &Repo) -> Result<Self> {
        let tmp = repo.tmp_dir()?;
        let prefix = format!("{PREFIX}{}-", kernel_text("/proc/sys/kernel/random/boot_id")?);
        for entry in tmp.entries()? {
            let Some(name) = entry.name.to_str() else { continue };
            if entry.kind == FileKind::Directory
                && name.starts_with(&prefix)
                && let Some(staging) = Self::lock(&tmp, name)?
            {
                return Ok(staging);
            }
        }
        for _ in 0..ATTEMPTS {
            let random = kernel_text("/proc/sys/kernel/random/uuid")?.replace('-', "");
            let name = format!("{prefix}{}", random.get(..6).unwrap_or(&random));
            match tmp.create_dir(&name, SHARED_DIR_MODE) {
                Ok(()) => {}
                Err(error) if error.is_already_exists() => continue,
                Err(error) => return Err(error.into()),
            }
            if let Some(staging) = Self::lock(&tmp, &name)? {
                return Ok(staging);
            }
        }
        Err(Error::other(updraft_error::Kind::Conflict, "make a staging folder: no name is free"))
    }

    fn lock(tmp: &Dir, name: &str) -> Result<Option<Self>> {
        let lock_name = format!("{name}{LOCK_SUFFIX}");
        let Some(lock) = LockFile::try_acquire(tmp, &lock_name, LockMode::Exclusive)? else {
            return Ok(None);
        };
        // Whoever held it before may have removed it meanwhile: then we locked a dead file.
        let ours = lock.file().metadata().map_err(|e| Error::io("look at a staging lock", e))?;
        let alive = tmp.try_metadata(&lock_name)?.is_some_and(|found| found.inode == ours.ino());
        let (true, Some(dir)) = (alive, tmp.try_open_dir(name)?) else { return Ok(None) };
        let made: Vec<_> = (0..256).map(|_| AtomicBool::new(false)).collect();
        let mut is_resumed = false;
        for entry in dir.entries()? {
            if let Some(index) = entry.name.to_str().and_then(prefix_index) {
                made[index].store(true, Ordering::Release);
                is_resumed = true;
            }
        }
        // Asked of the file system: how it chooses the group is its own affair.
        let file = TempFile::new_in(&dir)?;
        let stat = file.file().metadata().map_err(|e| Error::io("look at a temporary file", e))?;
        let owner = (stat.uid(), stat.gid());
        let (tmp, name) = (tmp.clone(), name.to_owned());
        Ok(Some(Self { tmp, dir, name, _lock: lock, is_resumed, owner, made }))
    }

    /// Whether the folder for this loose path exists.
    pub(crate) fn may_have(&self, loose_path: &str) -> bool {
        prefix_index(&loose_path[..2]).is_some_and(|index| self.made[index].load(Ordering::Acquire))
    }

    /// Makes the folder for this loose path.
    pub(crate) fn make_room(&self, loose_path: &str) -> Result<()> {
        let prefix = &loose_path[..2];
        let Some(index) = prefix_index(prefix) else { return Ok(()) };
        if !self.made[index].load(Ordering::Acquire) {
            self.dir.ensure_dir(prefix, SHARED_DIR_MODE)?;
            self.made[index].store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Moves everything among the objects. Objects that are there already stay; `commitmeta` is
    /// replaced. The new names are durable when this returns, if `fsync` says so.
    ///
    /// Commits come last, when all they need is there: one that is among the objects without a
    /// mark counts as complete.
    pub(crate) fn publish(&self, objects: &Dir, durable: Durable) -> Result<()> {
        let (mut touched, mut commits) = (Vec::new(), Vec::new());
        for entry in self.dir.sorted_entries()? {
            let Some(prefix) = entry.name.to_str().filter(|name| prefix_index(name).is_some())
            else {
                continue;
            };
            if self.has_commit(prefix)? {
                objects.ensure_dir(prefix, SHARED_DIR_MODE)?;
                self.publish_folder(objects, prefix, &|name| !is_commit(name))?;
                commits.push(prefix.to_owned());
            } else {
                self.publish_whole(objects, prefix)?;
            }
            touched.push(prefix.to_owned());
        }
        sync(objects, &touched, durable)?;
        for prefix in &commits {
            self.publish_folder(objects, prefix, &is_commit)?;
        }
        sync(objects, &commits, durable)
    }

    fn has_commit(&self, prefix: &str) -> Result<bool> {
        let entries = self.dir.open_dir(prefix)?.entries()?;
        Ok(entries.iter().filter_map(|entry| entry.name.to_str()).any(is_commit))
    }

    /// A folder that the repository does not have yet moves as a whole.
    fn publish_whole(&self, objects: &Dir, prefix: &str) -> Result<()> {
        match self.dir.rename_new(prefix, objects, prefix) {
            Err(error) if error.is_already_exists() => {
                self.publish_folder(objects, prefix, &|_| true)
            }
            renamed => Ok(renamed?),
        }
    }

    fn publish_folder(
        &self,
        objects: &Dir,
        prefix: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let from = self.dir.open_dir(prefix)?;
        let to = objects.open_dir(prefix)?;
        for entry in from.entries()? {
            let Some(name) = entry.name.to_str().filter(|name| wanted(name)) else { continue };
            if name.ends_with(".commitmeta") {
                from.rename(name, &to, name)?;
                continue;
            }
            match from.rename_new(name, &to, name) {
                Ok(()) => {}
                Err(error) if error.is_already_exists() => from.unlink(name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes the folder, then its lock, then what other boots left.
    pub(crate) fn remove(self) -> Result<()> {
        remove_tree(&self.tmp, &self.name)?;
        self.tmp.try_unlink(format!("{}{LOCK_SUFFIX}", self.name))?;
        let boot = kernel_text("/proc/sys/kernel/random/boot_id")?;
        let ours = format!("{PREFIX}{boot}-");
        for entry in self.tmp.entries()? {
            let Some(name) = entry.name.to_str() else { continue };
            // A process that dies between the two leaves the lock alone.
            let alone = name.strip_suffix(LOCK_SUFFIX).filter(|name| name.starts_with(PREFIX));
            if let Some(folder) = alone {
                if !self.tmp.exists(folder)?
                    && LockFile::try_acquire(&self.tmp, name, LockMode::Exclusive)?.is_some()
                {
                    self.tmp.try_unlink(name)?;
                }
                continue;
            }
            if entry.kind != FileKind::Directory
                || !name.starts_with(PREFIX)
                || name.starts_with(&ours)
            {
                continue;
            }
            let lock_name = format!("{name}{LOCK_SUFFIX}");
            let lock = LockFile::try_acquire(&self.tmp, &lock_name, LockMode::Exclusive)?;
            if lock.is_some() {
                remove_tree(&self.tmp, name)?;
                self.tmp.try_unlink(&lock_name)?;
            }
        }
        Ok(())
    }
}

/// So many folders are made durable one by one.
const FEW_FOLDERS: usize = 8;

/// Whether to wait until the disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

impl Durable {
    /// What the setting `fsync` means.
    pub(crate) fn when(fsync: bool) -> Self {
        if fsync { Self::Yes } else { Self::No }
    }
}

fn is_commit(name: &str) -> bool {
    name.ends_with(".commit")
}

/// Makes new names in these folders durable. Each folder costs the disk a flush of its own; what
/// else the file system has to write has just been written with the content of the objects. So
/// many folders are made durable with the whole file system, by one flush.
fn sync(objects: &Dir, folders: &[String], durable: Durable) -> Result<()> {
    if durable == Durable::No || folders.is_empty() {
        return Ok(());
    }
    if folders.len() > FEW_FOLDERS {
        return Ok(objects.syncfs()?);
    }
    for folder in folders {
        objects.open_dir(folder)?.sync()?;
    }
    Ok(objects.sync()?)
}

/// `00` … `ff` → 0 … 255.
fn prefix_index(name: &str) -> Option<usize> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if name.len() != 2 || !name.bytes().all(lower) {
        return None;
    }
    usize::from_str_radix(name, 16).ok()
}

/// One line that the kernel gives.
pub(crate) fn kernel_text(path: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(format!("read {path}"), e))?;
    Ok(text.trim().to_owned())
}
