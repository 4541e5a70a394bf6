//! Refs: files under `refs/` that hold a checksum and a newline. An alias is a symbolic link.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind};
use updraft_ostree::{Checksum, RefName, Refspec, RemoteName};

use crate::repo::SHARED_DIR_MODE;
use crate::staging::Durable;
use crate::{Error, Repo, Result};

const HEADS: &str = "refs/heads";
const REMOTES: &str = "refs/remotes";
/// The longest content of a ref file that is read.
const MAX_REF_SIZE: u64 = 4096;
/// The deepest folder of refs that is listed.
const MAX_DEPTH: usize = 64;

fn base(refspec: &Refspec) -> PathBuf {
    match &refspec.remote {
        None => HEADS.into(),
        Some(remote) => Path::new(REMOTES).join(remote.as_str()),
    }
}

fn path(refspec: &Refspec) -> PathBuf {
    base(refspec).join(refspec.name.as_str())
}

impl Repo {
    /// The commit that a ref names, or `None` when there is no such ref.
    pub fn read_ref(&self, refspec: &Refspec) -> Result<Option<Checksum>> {
        read_ref_file(self.root(), &path(refspec))
    }

    /// All refs, local and of remotes, aliases among them.
    pub fn refs(&self) -> Result<BTreeMap<Refspec, Checksum>> {
        let texts = self.ref_texts()?.into_iter();
        texts.map(|(refspec, text)| Ok((refspec, checksum(&text)?))).collect()
    }

    /// All refs as [`Self::refs`], each with what stands in its file, a checksum or not: enough to list
    /// and to delete a ref that something has spoilt.
    pub fn ref_texts(&self) -> Result<BTreeMap<Refspec, String>> {
        let mut refs = BTreeMap::new();
        self.each_ref(&mut |dir, name, kind, refspec| {
            if kind == FileKind::Regular || kind == FileKind::Symlink {
                // A ref that vanished in between is left out.
                let found = match kind {
                    // What became an alias meanwhile is looked at again.
                    FileKind::Regular => read_text(dir, name).or_else(|_| ref_text(dir, name))?,
                    _ => ref_text(dir, name)?,
                };
                if let Some(text) = found {
                    refs.insert(refspec, text);
                }
            }
            Ok(())
        })?;
        Ok(refs)
    }

    /// All aliases and what they stand for.
    pub fn aliases(&self) -> Result<BTreeMap<Refspec, Refspec>> {
        let mut aliases = BTreeMap::new();
        self.each_ref(&mut |dir, name, kind, refspec| {
            if kind == FileKind::Symlink
                && let Some(target) = alias_target(&refspec, &dir.read_link(name)?)
            {
                aliases.insert(refspec, target);
            }
            Ok(())
        })?;
        Ok(aliases)
    }

    /// Makes a ref name a commit, or removes it with `None`. Durable when this returns.
    ///
    /// All objects that were stored before are durable before the ref names one of them.
    pub fn set_ref(&self, refspec: &Refspec, commit: Option<&Checksum>) -> Result<()> {
        let durable = Durable::when(self.config().fsync);
        if commit.is_some() && durable == Durable::Yes {
            self.objects_dir().syncfs()?;
        }
        self.write_ref(refspec, commit, durable)
    }

    /// As [`Self::set_ref`], for a caller that made the objects durable already.
    pub(crate) fn write_ref(
        &self,
        refspec: &Refspec,
        commit: Option<&Checksum>,
        durable: Durable,
    ) -> Result<()> {
        let path = path(refspec);
        match commit {
            None => {
                if let Some(alias) = self.alias_of(refspec)? {
                    let message = format!("Ref '{refspec}' has an active alias: '{alias}'");
                    return Err(Error::other(Kind::Conflict, message));
                }
                if self.root().try_unlink(&path)? && durable == Durable::Yes {
                    self.root().open_dir_follow(parent(&path))?.sync()?;
                }
            }
            Some(commit) => {
                refspec.check_not_checksum()?;
                // An alias becomes a ref of its own, as with libostree: the rename replaces the link.
                self.write_ref_file(&base(refspec), &path, commit, durable)?;
            }
        }
        // Clients and caches look at the folder's time to see that a ref changed.
        Ok(self.root().touch_self()?)
    }

    fn write_ref_file(
        &self,
        base: &Path,
        path: &Path,
        commit: &Checksum,
        durable: Durable,
    ) -> Result<()> {
        self.prepare_ref(base, path, durable)?;
        let text = format!("{commit}\n");
        self.replace(path, text.as_bytes(), (0o644, durable))
    }

    /// As [`Self::write_ref`], for a ref in another folder than those of refspecs.
    pub(crate) fn write_ref_under(
        &self,
        base: &str,
        name: &RefName,
        commit: Option<&Checksum>,
        durable: Durable,
    ) -> Result<()> {
        let path = Path::new(base).join(name.as_str());
        match commit {
            Some(commit) => self.write_ref_file(Path::new(base), &path, commit, durable)?,
            None => {
                if self.root().try_unlink(&path)? && durable == Durable::Yes {
                    self.root().open_dir_follow(parent(&path))?.sync()?;
                }
            }
        }
        Ok(self.root().touch_self()?)
    }

    /// Makes `alias` stand for `target`, both local.
    pub fn set_alias(&self, alias: &Refspec, target: &Refspec) -> Result<()> {
        if alias.remote.is_some() || target.remote.is_some() {
            let message = format!("Cannot create alias to remote ref: {target}");
            return Err(Error::other(Kind::Unsupported, message));
        }
        if self.read_ref(target)?.is_none() {
            let message = format!("Cannot create alias to non-existent ref: {target}");
            return Err(Error::other(Kind::NotFound, message));
        }
        let path = path(alias);
        let durable = Durable::when(self.config().fsync);
        self.prepare_ref(&base(alias), &path, durable)?;
        let up = "../".repeat(alias.name.as_str().matches('/').count());
        self.replace_link(&path, &format!("{up}{}", target.name), durable)?;
        Ok(self.root().touch_self()?)
    }

    fn alias_of(&self, refspec: &Refspec) -> Result<Option<Refspec>> {
        if refspec.remote.is_some() {
            return Ok(None);
        }
        Ok(self.aliases()?.into_iter().find(|(_, target)| target == refspec).map(|(a, _)| a))
    }

    /// Makes the folders above a ref, and clears away empty ones in its place.
    fn prepare_ref(&self, base: &Path, path: &Path, durable: Durable) -> Result<()> {
        let mut dir = self.root().clone();
        for part in parent(path).components() {
            let metadata = dir.try_metadata(part)?;
            if metadata.as_ref().is_some_and(|metadata| metadata.kind == FileKind::Regular) {
                let message = format!("openat({}): Not a directory", path.display());
                return Err(Error::other(Kind::Conflict, message));
            }
            let below = dir.ensure_dir(part, SHARED_DIR_MODE)?;
            // A ref is as durable as the folders above it.
            if metadata.is_none() && durable == Durable::Yes {
                dir.sync()?;
            }
            dir = below;
        }
        let name = path.file_name().unwrap_or_default();
        if dir.try_metadata(name)?.is_some_and(|found| found.kind == FileKind::Directory)
            && remove_empty(&dir, Path::new(name)).is_err()
        {
            let below = first_file(&dir.open_dir(name)?, Path::new(""))?.unwrap_or_default();
            let (below, name) =
                (below.display(), path.strip_prefix(base).unwrap_or(path).display());
            let message = format!("Conflict: {below} exists under {name} when attempting write");
            return Err(Error::other(Kind::Conflict, message));
        }
        Ok(())
    }

    /// Calls `each` with the folder, the name in it, its kind, and the ref.
    fn each_ref(
        &self,
        each: &mut dyn FnMut(&Dir, &Path, FileKind, Refspec) -> Result<()>,
    ) -> Result<()> {
        // Without a folder nobody knows what is referred to: pruning would remove everything.
        let open = |folder: &str| {
            self.root().try_open_dir(folder)?.ok_or_else(|| {
                let message = format!("Listing refs: opendir({folder}): No such file or directory");
                Error::other(Kind::NotFound, message)
            })
        };
        walk(&open(HEADS)?, "", 0, &mut |dir, name, kind, full| {
            match RefName::new(full) {
                Ok(full) => each(dir, name, kind, Refspec::local(full)),
                Err(_) => Ok(()), // somebody's temporary file
            }
        })?;
        let remotes = open(REMOTES)?;
        for entry in remotes.sorted_entries()? {
            let remote = entry.name.to_str().and_then(|name| RemoteName::new(name).ok());
            let (Some(remote), FileKind::Directory) = (remote, entry.kind) else { continue };
            let dir = remotes.open_dir(&entry.name)?;
            walk(&dir, "", 0, &mut |dir, name, kind, full| match RefName::new(full) {
                Ok(full) => each(dir, name, kind, Refspec::remote(remote.clone(), full)),
                Err(_) => Ok(()),
            })?;
        }
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

pub(crate) fn walk(
    dir: &Dir,
    prefix: &str,
    depth: usize,
    each: &mut dyn FnMut(&Dir, &Path, FileKind, &str) -> Result<()>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in dir.sorted_entries()? {
        let Some(name) = entry.name.to_str() else { continue };
        let full = format!("{prefix}{name}");
        if entry.kind == FileKind::Directory {
            if let Some(sub) = dir.try_open_dir(name)? {
                walk(&sub, &format!("{full}/"), depth + 1, each)?;
            }
        } else {
            each(dir, Path::new(name), entry.kind, &full)?;
        }
    }
    Ok(())
}

/// A file in a folder or below it.
fn first_file(dir: &Dir, so_far: &Path) -> Result<Option<PathBuf>> {
    for entry in dir.sorted_entries()? {
        let path = so_far.join(&entry.name);
        if entry.kind != FileKind::Directory {
            return Ok(Some(path));
        }
        if let Some(found) = first_file(&dir.open_dir(&entry.name)?, &path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Removes a folder that holds nothing but empty folders.
fn remove_empty(dir: &Dir, name: &Path) -> Result<()> {
    let sub = dir.open_dir(name)?;
    for entry in sub.entries()? {
        remove_empty(&sub, Path::new(&entry.name))?;
    }
    Ok(dir.remove_dir(name)?)
}

/// Follows an alias; a folder or a missing file is no ref.
pub(crate) fn read_ref_file(dir: &Dir, name: &Path) -> Result<Option<Checksum>> {
    ref_text(dir, name)?.as_deref().map(checksum).transpose()
}

/// What stands in the file of a ref, as [`read_ref_file`] finds it.
fn ref_text(dir: &Dir, name: &Path) -> Result<Option<String>> {
    let mut path = name.to_owned();
    for _ in 0..8 {
        let metadata = match dir.try_metadata(&path) {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Ok(None),
            Err(error) if error.io_kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match metadata.kind {
            FileKind::Symlink => path = parent(&path).join(dir.read_link(&path)?),
            FileKind::Regular => return read_text(dir, &path),
            FileKind::Directory | FileKind::Other => return Ok(None),
        }
    }
    let message = format!("read {}: aliases go round", dir.path().join(name).display());
    Err(Error::other(Kind::Invalid, message))
}

/// Reads a ref that is a file; `None` when it is gone.
fn read_text(dir: &Dir, path: &Path) -> Result<Option<String>> {
    let Some(bytes) = dir.try_read(path, MAX_REF_SIZE)? else { return Ok(None) };
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// The commit that the file of a ref names.
fn checksum(text: &str) -> Result<Checksum> {
    // As libostree says it, which scripts match.
    text.parse().map_err(|_| Error::other(Kind::Invalid, format!("Invalid rev {text}")))
}

/// The ref that a link beside `alias` with this target points to.
fn alias_target(alias: &Refspec, link: &Path) -> Option<Refspec> {
    let mut parts: Vec<&str> = alias.name.as_str().split('/').collect();
    parts.pop();
    for component in link.components() {
        match component {
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let name = RefName::new(parts.join("/")).ok()?;
    Some(Refspec { remote: alias.remote.clone(), name })
}
