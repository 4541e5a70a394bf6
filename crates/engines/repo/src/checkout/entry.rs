//! One file or symbolic link of the checkout.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata, TempFile, remove_tree, xattr};
use updraft_ostree::{
    Checksum, FileHeader, FileName, ObjectName, ObjectType, RepoMode, S_IFLNK, S_IFMT,
};

use super::cache::Cache;
use super::copy::{copy_verified, copy_whole};
use super::directory::Directory;
use super::walk::Shared;
use super::{CheckoutOptions, Hardlinks, UnionMode};
use crate::ostreemeta::attribute;
use crate::{Error, FileObject, Repo, Result};

/// Whether files of a repository of this mode look as this checkout wants them.
pub(super) fn can_link(mode: RepoMode, options: &CheckoutOptions) -> bool {
    match mode {
        RepoMode::Bare => !options.user_mode,
        RepoMode::BareUser => options.user_mode,
        RepoMode::BareUserOnly => true,
        // The objects have no xattrs of their own.
        RepoMode::BareSplitXattrs | RepoMode::Archive => false,
    }
}

/// Files of one directory for a worker.
pub(super) struct FilesJob {
    directory: Arc<Directory>,
    files: Vec<(FileName, Checksum)>,
}

impl FilesJob {
    pub(super) fn new(directory: &Arc<Directory>, files: Vec<(FileName, Checksum)>) -> Self {
        Self { directory: directory.clone(), files }
    }

    /// How many files.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn run(self, shared: &Shared<'_>) -> Result<()> {
        for (name, checksum) in &self.files {
            shared.ctx.check()?;
            place(shared, &self.directory.dir, name.as_str(), checksum)?;
        }
        Directory::release(self.directory)
    }
}

/// Makes the file `name` in `dir`.
pub(super) fn place(shared: &Shared<'_>, dir: &Dir, name: &str, checksum: &Checksum) -> Result<()> {
    let options = shared.options;
    if options.whiteouts
        && let Some(hidden) = name.strip_prefix(".wh.")
    {
        if hidden.starts_with(".wh.") {
            return Ok(());
        }
        // Of `..` all beside this directory would be removed, which may lie outside of the checkout.
        let hidden = FileName::new(hidden)?;
        return Ok(remove_tree(dir, hidden.as_str())?);
    }
    if options.passthrough_whiteouts
        && let Some(hidden) = name.strip_prefix(".ostree-wh.")
    {
        let hidden = FileName::new(hidden)?;
        return make_whiteout(shared, dir, hidden.as_str(), checksum);
    }
    if options.hardlinks != Hardlinks::Never
        && can_link(shared.repo.mode(), options)
        && link(shared, dir, name, checksum)?
    {
        shared.linked.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    if options.hardlinks == Hardlinks::Require && !can_link(shared.repo.mode(), options) {
        let message = if shared.repo.mode() == RepoMode::BareUser {
            "User repository mode requires user checkout mode to hardlink"
        } else {
            "Bare repository mode cannot hardlink in user checkout mode"
        };
        return Err(Error::other(Kind::Unsupported, message));
    }
    let object_name = ObjectName::new(*checksum, ObjectType::File);
    if let Some(cache) = &shared.cache
        && from_cache(shared, cache, dir, name, &object_name)?
    {
        shared.linked.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let object = shared.repo.open_file(checksum)?;
    if object.header.is_symlink() {
        if object.header.checksum(b"") != *checksum && shared.repo.mode() != RepoMode::BareUserOnly
        {
            let actual = object.header.checksum(b"");
            return Err(Error::Corrupt { object: object_name, actual });
        }
        symlink(shared, dir, name, &object.header)?;
    } else {
        regular(shared, dir, name, (&object_name, object))?;
    }
    shared.copied.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Makes `name` a link to the unpacked file, which is made when it is not there. `false` when
/// there cannot be one.
fn from_cache(
    shared: &Shared<'_>,
    cache: &Cache,
    dir: &Dir,
    name: &str,
    object: &ObjectName,
) -> Result<bool> {
    let path = Cache::path(object);
    if !cache.has(&path)? {
        let FileObject { header, size, mut reader } = shared.repo.open_file(&object.checksum)?;
        if header.is_symlink() || size == 0 {
            return Ok(false);
        }
        cache.put(&path, object, (&header, size), &mut reader)?;
    }
    match link_to(shared, dir, name, (cache.dir(), &path)) {
        // Another process emptied the cache meanwhile.
        Err(Error::Fs(error)) if error.is_not_found() => Ok(false),
        linked => linked,
    }
}

/// Makes `name` a link to its object. `false` when the file must be made anew.
fn link(shared: &Shared<'_>, dir: &Dir, name: &str, checksum: &Checksum) -> Result<bool> {
    let object = ObjectName::new(*checksum, ObjectType::File);
    let (repo, path, metadata) = find(shared.repo, &object)?;
    if !can_link(repo.mode(), shared.options) {
        return Ok(false);
    }
    let objects = repo.objects_dir();
    match metadata.kind {
        // All empty files would share one inode: anybody who writes to one writes to all.
        FileKind::Regular if metadata.size == 0 => return Ok(false),
        FileKind::Regular if metadata.mode & 0o400 == 0 && shared.options.user_mode => {
            return Ok(false);
        }
        FileKind::Regular => {}
        // A symbolic link may be linked as well, but only as what it is.
        FileKind::Symlink if repo.mode() == RepoMode::Bare => {}
        _ => return Ok(false),
    }
    if repo.mode() == RepoMode::BareUser {
        // Symbolic links are files there, and unreadable files are readable.
        let mode = repo.place().bare_user_mode(&object, &path)?;
        if mode & S_IFMT == S_IFLNK || mode & 0o400 == 0 {
            return Ok(false);
        }
    }
    link_to(shared, dir, name, (objects, &path))
}

/// Which repository has the object, where there, and what it is. One look for each file: that and
/// the link are all that a checkout costs.
fn find<'a>(repo: &'a Repo, object: &ObjectName) -> Result<(&'a Repo, String, Metadata)> {
    let look = |repo: &'a Repo| {
        let path = object.loose_path(repo.mode());
        let metadata = repo.objects_dir().try_metadata(&path)?;
        Ok::<_, Error>(metadata.map(|metadata| (repo, path, metadata)))
    };
    if let Some(found) = look(repo)? {
        return Ok(found);
    }
    for parent in repo.parents()? {
        if let Some(found) = look(parent)? {
            return Ok(found);
        }
    }
    Err(Error::NoSuchObject(*object))
}

/// Makes `name` a link to the file at `path`. `false` when that cannot be and need not be.
fn link_to(
    shared: &Shared<'_>,
    dir: &Dir,
    name: &str,
    (objects, path): (&Dir, &str),
) -> Result<bool> {
    let linked = match dir.link(objects, path, name) {
        Err(error) if error.is_already_exists() && shared.options.union != UnionMode::None => {
            return existing(shared, dir, name, (objects, path)).map(|()| true);
        }
        other => other,
    };
    match linked {
        Ok(()) => Ok(true),
        Err(error) if may_copy(&error) && shared.options.hardlinks == Hardlinks::Prefer => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn may_copy(error: &updraft_fs::Error) -> bool {
    use std::io::ErrorKind as Io;
    matches!(error.io_kind(), Io::TooManyLinks | Io::CrossesDevices | Io::PermissionDenied)
}

/// A link where something exists.
fn existing(
    shared: &Shared<'_>,
    dir: &Dir,
    name: &str,
    (objects, path): (&Dir, &str),
) -> Result<()> {
    let there = dir.metadata(name)?;
    let ours = objects.metadata(path)?;
    match shared.options.union {
        UnionMode::Add | UnionMode::None => Ok(()),
        UnionMode::Overwrite if there.kind == FileKind::Directory => {
            clear_the_way(shared, dir, name)?;
            Ok(dir.link(objects, path, name)?)
        }
        _ if there.kind == FileKind::Directory => Err(directory_in_the_way(name)),
        _ if (there.device, there.inode) == (ours.device, ours.inode) => Ok(()),
        UnionMode::Identical => {
            super::copy::compare(shared.repo.mode(), dir, name, (objects, path))
        }
        UnionMode::Overwrite => {
            let temporary = format!(".updraft-tmp-{}", path.replace('/', ""));
            dir.try_unlink(&temporary)?;
            dir.link(objects, path, &temporary)?;
            Ok(dir.rename(&temporary, dir, name)?)
        }
    }
}

/// Removes a directory where a file has to be: a layer with whiteouts replaces it.
fn clear_the_way(shared: &Shared<'_>, dir: &Dir, name: &str) -> Result<()> {
    if !shared.options.whiteouts {
        return Err(directory_in_the_way(name));
    }
    Ok(remove_tree(dir, name)?)
}

fn directory_in_the_way(name: &str) -> Error {
    Error::other(Kind::Conflict, format!("Can't replace directory with file: {name}"))
}

/// What to do about what may exist as `name`.
fn may_write(shared: &Shared<'_>, dir: &Dir, name: &str) -> Result<Occupied> {
    if shared.options.union == UnionMode::None {
        return Ok(Occupied::No);
    }
    let Some(there) = dir.try_metadata(name)? else { return Ok(Occupied::No) };
    match shared.options.union {
        UnionMode::Add => Ok(Occupied::Keep),
        UnionMode::Overwrite if there.kind == FileKind::Directory => {
            clear_the_way(shared, dir, name)?;
            Ok(Occupied::No)
        }
        UnionMode::Overwrite => Ok(Occupied::Replace),
        UnionMode::Identical | UnionMode::None => Ok(Occupied::Compare),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupied {
    No,
    Keep,
    Replace,
    Compare,
}

fn symlink(shared: &Shared<'_>, dir: &Dir, name: &str, header: &FileHeader) -> Result<()> {
    let target = header.symlink_target.as_deref().unwrap_or_default();
    match may_write(shared, dir, name)? {
        Occupied::Keep => return Ok(()),
        Occupied::Compare => {
            let there = dir.metadata(name)?;
            if there.kind == FileKind::Symlink && dir.read_link(name)? == Path::new(target) {
                return Ok(());
            }
            return Err(differs(dir, name));
        }
        Occupied::Replace => {
            dir.unlink(name)?;
        }
        Occupied::No => {}
    }
    dir.symlink(target, name)?;
    if !shared.options.user_mode {
        dir.chown(name, header.uid, header.gid)?;
        for (attribute_name, value) in header.xattrs.iter() {
            xattr::set_at(dir, name, attribute(attribute_name), value)?;
        }
    }
    Ok(())
}

pub(super) fn differs(dir: &Dir, name: &str) -> Error {
    let path = dir.path().join(name);
    let message = format!("Hardlinking to {}: File exists", path.display());
    Error::other(Kind::Conflict, message)
}

fn regular(
    shared: &Shared<'_>,
    dir: &Dir,
    name: &str,
    (object, file): (&ObjectName, FileObject),
) -> Result<()> {
    let FileObject { header, size, mut reader } = file;
    let occupied = may_write(shared, dir, name)?;
    if occupied == Occupied::Keep {
        return Ok(());
    }
    if occupied == Occupied::Compare {
        return super::copy::compare_content(dir, name, size, &mut reader);
    }
    // Under its name at once when there is nothing: the checkout as a whole is not atomic.
    let (named, temporary) = match occupied {
        Occupied::No => (Some(dir.create_file(name, 0o600)?), None),
        _ => (None, Some(TempFile::new_in(dir)?)),
    };
    let Some(out) = named.as_ref().or_else(|| temporary.as_ref().map(TempFile::file)) else {
        return Ok(());
    };
    if shared.repo.mode() == RepoMode::BareUserOnly {
        // Its own header says less than the one it was hashed with may have said.
        copy_whole(object, &mut reader, out)?;
    } else {
        copy_verified(object, (&header, size), &mut reader, out)?;
    }
    set_attributes(shared, &header, out)?;
    if let Some(temporary) = temporary {
        temporary.persist_replace(dir, name)?;
    }
    Ok(())
}

/// Permissions for whoever checks out: no set-uid files, and nothing the user could not read.
pub(super) fn user_permissions(header: &FileHeader) -> u32 {
    (header.permissions() & !0o6000) | 0o400
}

fn set_attributes(shared: &Shared<'_>, header: &FileHeader, out: &std::fs::File) -> Result<()> {
    let failed = |what: &str| {
        let what = format!("set the {what} of a file");
        move |errno: rustix::io::Errno| Error::io(what, errno.into())
    };
    let mut mode = header.permissions();
    if shared.options.user_mode {
        mode = user_permissions(header);
    } else {
        let uid = rustix::fs::Uid::from_raw(header.uid);
        let gid = rustix::fs::Gid::from_raw(header.gid);
        rustix::fs::fchown(out, Some(uid), Some(gid)).map_err(failed("owner"))?;
        for (name, value) in header.xattrs.iter() {
            xattr::set(out, attribute(name), value)?;
        }
    }
    rustix::fs::fchmod(out, rustix::fs::Mode::from_raw_mode(mode)).map_err(failed("mode"))
}

/// Makes the character device 0/0 that overlayfs understands as "deleted".
fn make_whiteout(shared: &Shared<'_>, dir: &Dir, name: &str, checksum: &Checksum) -> Result<()> {
    let header = shared.repo.open_file(checksum)?.header;
    if may_write(shared, dir, name)? == Occupied::Keep {
        return Ok(());
    }
    if may_write(shared, dir, name)? == Occupied::Replace {
        dir.unlink(name)?;
    }
    let mode = rustix::fs::Mode::from_raw_mode(header.permissions());
    rustix::fs::mknodat(dir, name, rustix::fs::FileType::CharacterDevice, mode, 0)
        .map_err(|errno| Error::io(format!("make the whiteout {name}"), errno.into()))?;
    if !shared.options.user_mode {
        dir.chown(name, header.uid, header.gid)?;
    }
    Ok(dir.chmod(name, header.permissions())?)
}
