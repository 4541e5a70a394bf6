//! The three-way merge of `/etc`.
//!
//! What an administrator changed is the difference between a deployment's `usr/etc`, as it was
//! delivered, and its `etc`. The new deployment gets a fresh copy of its own `usr/etc`, and then
//! those changes; a local change always wins over a new default. Devices, pipes and sockets are left
//! behind, whoever made them.

use std::io::Read;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata, xattr};

use crate::{Error, Result, copy};

const BUFFER: usize = 64 * 1024;

/// Attributes that nobody sets to configure anything: who copies or labels a file does.
const NOT_COMPARED: [&str; 3] = ["security.selinux", "security.ima", "security.evm"];

/// What differs between delivered and actual configuration. Paths are relative to `/etc`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EtcChanges {
    /// Other content, owner, mode, type or extended attributes than delivered.
    pub modified: Vec<PathBuf>,
    /// Delivered, and not there any more.
    pub removed: Vec<PathBuf>,
    /// Not delivered; directories before what is in them.
    pub added: Vec<PathBuf>,
}

impl EtcChanges {
    /// Compares `defaults` (`usr/etc`) with `actual` (`etc`).
    ///
    /// # Errors
    /// [`Error::Fs`], [`Error::Copy`] when something cannot be read.
    pub fn between(defaults: &Dir, actual: &Dir) -> Result<Self> {
        let mut changes = Self::default();
        changes.compare(defaults, actual, Path::new(""))?;
        Ok(changes)
    }

    fn compare(&mut self, defaults: &Dir, actual: &Dir, at: &Path) -> Result<()> {
        for entry in defaults.sorted_entries()? {
            if entry.kind == FileKind::Other {
                continue;
            }
            let path = at.join(&entry.name);
            let before = defaults.metadata(&entry.name)?;
            let Some(now) = actual.try_metadata(&entry.name)? else {
                self.removed.push(path);
                continue;
            };
            let name = Path::new(&entry.name);
            let both_dirs = before.kind == FileKind::Directory && now.kind == FileKind::Directory;
            if !same_attributes(&before, &now)
                || (!both_dirs && !same_content(defaults, actual, name, &before, &now)?)
                || (before.kind != FileKind::Symlink && !same_xattrs(defaults, actual, name)?)
            {
                self.modified.push(path.clone());
            }
            if both_dirs {
                self.compare(&defaults.open_dir(name)?, &actual.open_dir(name)?, &path)?;
            }
        }
        for entry in actual.sorted_entries()? {
            let default = defaults.try_metadata(&entry.name)?.map(|default| default.kind);
            if matches!(default, None | Some(FileKind::Other)) {
                self.add(actual, Path::new(&entry.name), at)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, dir: &Dir, name: &Path, at: &Path) -> Result<()> {
        let (kind, path) = (dir.metadata(name)?.kind, at.join(name));
        if kind == FileKind::Other {
            return Ok(());
        }
        self.added.push(path.clone());
        if kind == FileKind::Directory {
            let below = dir.open_dir(name)?;
            for entry in below.sorted_entries()? {
                self.add(&below, Path::new(&entry.name), &path)?;
            }
        }
        Ok(())
    }

    /// Makes these changes to `target`, taking content from `actual`; `defaults` is what they are
    /// changes of.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when a modified file is a directory by default now.
    pub(crate) fn apply(&self, defaults: &Dir, actual: &Dir, target: &Dir) -> Result<()> {
        for path in &self.removed {
            if let (Some(parent), name) = copy::enter(target, path)? {
                copy::remove(&parent, name)?;
            }
        }
        for path in &self.modified {
            put(defaults, actual, target, path)?;
        }
        // With a directory goes all that is in it.
        let mut done: Option<&PathBuf> = None;
        for path in &self.added {
            if !done.is_some_and(|done| path.starts_with(done)) {
                put(defaults, actual, target, path)?;
                done = Some(path);
            }
        }
        Ok(())
    }
}

fn same_xattrs(left: &Dir, right: &Dir, name: &Path) -> Result<bool> {
    let of = |dir: &Dir| -> Result<Vec<_>> {
        let mut all = xattr::all_at(dir, name)?;
        all.retain(|(key, _)| !NOT_COMPARED.iter().any(|name| key == name));
        all.sort_unstable();
        Ok(all)
    };
    Ok(of(left)? == of(right)?)
}

fn same_attributes(left: &Metadata, right: &Metadata) -> bool {
    left.kind == right.kind
        && left.uid == right.uid
        && left.gid == right.gid
        && (left.kind == FileKind::Symlink || left.permissions() == right.permissions())
}

fn same_content(
    left: &Dir,
    right: &Dir,
    name: &Path,
    before: &Metadata,
    now: &Metadata,
) -> Result<bool> {
    match (before.kind, now.kind) {
        (FileKind::Symlink, FileKind::Symlink) => {
            Ok(left.read_link(name)? == right.read_link(name)?)
        }
        (FileKind::Regular, FileKind::Regular) => {
            Ok(before.size == now.size && same_bytes(left, right, name)?)
        }
        (one, other) => Ok(one == other),
    }
}

fn same_bytes(left: &Dir, right: &Dir, name: &Path) -> Result<bool> {
    let failed = |dir: &Dir| {
        let path = dir.path().join(name);
        move |source| Error::Copy { path, source }
    };
    let mut one = left.open_file(name)?;
    let mut other = right.open_file(name)?;
    let (mut first, mut second) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let read = one.read(&mut first).map_err(failed(left))?;
        let (Some(first), Some(second)) = (first.get(..read), second.get_mut(..read)) else {
            return Ok(false);
        };
        if read == 0 {
            return Ok(true);
        }
        match other.read_exact(second) {
            Ok(()) if first == second => {}
            Ok(()) => return Ok(false),
            // It became shorter since it was measured.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(failed(right)(error)),
        }
    }
}

/// Puts the local state of `path` into the new `/etc`.
fn put(defaults: &Dir, actual: &Dir, target: &Dir, path: &Path) -> Result<()> {
    let (Some(from), name) = copy::enter(actual, path)? else { return Ok(()) };
    let Some(local) = from.try_metadata(name)? else { return Ok(()) };
    let to = ensure_parents(actual, target, path)?;
    let default = to.try_metadata(name)?;
    match (local.kind, default.map(|default| default.kind)) {
        (FileKind::Directory, Some(FileKind::Directory)) => {
            // What is below is compared on its own; only the directory itself was changed.
            copy::attributes_of_dir(&from.open_dir(name)?, &local, &to.open_dir(name)?)
        }
        (FileKind::Other, _) => Ok(()),
        (_, Some(FileKind::Directory)) if was_directory(defaults, path)? => {
            // Somebody has put something else there in the full knowledge of the directory.
            copy::remove(&to, name)?;
            copy::tree(&from, name, &to, name)
        }
        (_, Some(FileKind::Directory)) => {
            let message = format!(
                "Modified config file newly defaults to directory '{}', cannot merge",
                path.display()
            );
            Err(Error::other(Kind::Conflict, message))
        }
        (_, Some(_)) => {
            to.unlink(name)?;
            copy::tree(&from, name, &to, name)
        }
        (_, None) => copy::tree(&from, name, &to, name),
    }
}

fn was_directory(defaults: &Dir, path: &Path) -> Result<bool> {
    let (Some(parent), name) = copy::enter(defaults, path)? else { return Ok(false) };
    let before = parent.try_metadata(name)?;
    Ok(before.is_some_and(|before| before.kind == FileKind::Directory))
}

/// The directory of `path` in the new `/etc`. Parents that the new defaults lack are made with
/// the attributes of the local ones.
fn ensure_parents(actual: &Dir, target: &Dir, path: &Path) -> Result<Dir> {
    let (mut from, mut to) = (actual.open_dir(".")?, target.open_dir(".")?);
    for part in path.parent().into_iter().flat_map(Path::components) {
        let name = Path::new(part.as_os_str());
        let local = from.open_dir(name)?;
        match to.try_metadata(name)?.map(|metadata| metadata.kind) {
            Some(FileKind::Directory) => to = to.open_dir(name)?,
            found => {
                if found.is_some() {
                    to.unlink(name)?;
                }
                to.create_dir(name, 0o700)?;
                to = to.open_dir(name)?;
                copy::attributes_of_dir(&local, &local.own_metadata()?, &to)?;
            }
        }
        from = local;
    }
    Ok(to)
}
