//! Mounts: a namespace of one's own, what is made writable in it, and overlays.
//!
//! A namespace is a copy; what is mounted in it is seen outside where the mount points are shared
//! (systemd makes all of them so), but whether a mount is read-only is each namespace's own matter.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::mount::MountFlags;

use crate::{Error, Result, sys};

/// Gives the calling thread, and the threads and processes that it starts from now on, a mount
/// namespace of its own.
pub fn unshare_namespace() -> Result<()> {
    sys::unshare_mounts()
        .map_err(|errno| Error::new("make a mount namespace for", "this process", errno.into()))
}

/// Whether what is mounted at `path`, or above it, is mounted read-only.
pub fn is_read_only(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    let stat = rustix::fs::statvfs(path)
        .map_err(|errno| Error::new("look at the mount of", path, errno.into()))?;
    Ok(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Makes the mount at `path` writable, and its file system as well when that is read-only.
pub fn remount_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    rustix::mount::mount_remount(path, MountFlags::RELATIME | MountFlags::SILENT, c"")
        .map_err(|errno| Error::new("remount writable", path, errno.into()))
}

/// Keeps mounts below `path` from being seen elsewhere, and those of elsewhere from being seen
/// there.
pub fn make_private(path: impl AsRef<Path>) -> Result<()> {
    use rustix::mount::MountPropagationFlags;
    let path = path.as_ref();
    let flags = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change(path, flags)
        .map_err(|errno| Error::new("make private the mounts of", path, errno.into()))
}

/// Takes away all that is mounted at `path`, also while it is used. That nothing is, is as good.
pub fn detach(path: impl AsRef<Path>) -> Result<()> {
    use rustix::io::Errno;
    let path = path.as_ref();
    loop {
        match rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::new("unmount", path, errno.into())),
        }
    }
}

/// Mounts the file system on a block device. `options` are those of the file system, as
/// `commit=1,errors=panic`; `ro` and `rw` among them are the mount's.
pub fn file_system(
    device: impl AsRef<Path>,
    target: impl AsRef<Path>,
    kind: &str,
    options: &str,
) -> Result<()> {
    let target = target.as_ref();
    let fail = |errno: rustix::io::Errno| Error::new("mount at", target, errno.into());
    let words = || options.split(',').filter(|word| !word.is_empty());
    let mut flags = MountFlags::NOATIME | MountFlags::NODEV | MountFlags::SILENT;
    if words().any(|word| word == "ro") {
        flags |= MountFlags::RDONLY;
    }
    let own: Vec<&str> = words().filter(|word| !matches!(*word, "ro" | "rw")).collect();
    let own = std::ffi::CString::new(own.join(",")).map_err(|_| fail(rustix::io::Errno::INVAL))?;
    rustix::mount::mount(device.as_ref(), target, kind, flags, own.as_c_str()).map_err(fail)
}

/// Takes away what is mounted at `path`, when nobody uses it.
pub fn unmount(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    rustix::mount::unmount(path, rustix::mount::UnmountFlags::empty())
        .map_err(|errno| Error::new("unmount", path, errno.into()))
}

/// Whether something is mounted at `path`. That there is no such path is a no.
pub fn is_mount_point(path: impl AsRef<Path>) -> Result<bool> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};

    let path = path.as_ref();
    match rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), StatxFlags::empty()) {
        Ok(stat) => Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::new("look at the mount of", path, errno.into())),
    }
}

/// Whether what is written through an overlay goes anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// To the upper directory.
    Upper,
    /// Nowhere, until somebody remounts it.
    Refused,
}

/// The directories of an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// What is seen where nothing was changed.
    pub lower: &'a Path,
    /// What was changed.
    pub upper: &'a Path,
    /// The kernel's own, on the file system of `upper`.
    pub work: &'a Path,
}

impl Overlay<'_> {
    /// Mounts it at `target`.
    pub fn mount(&self, target: impl AsRef<Path>, writes: Writes) -> Result<()> {
        let target = target.as_ref();
        let mut options = Vec::new();
        for (name, path) in
            [("lowerdir=", self.lower), (",upperdir=", self.upper), (",workdir=", self.work)]
        {
            options.extend_from_slice(name.as_bytes());
            push_escaped(&mut options, path);
        }
        let flags = match writes {
            Writes::Upper => MountFlags::SILENT,
            Writes::Refused => MountFlags::SILENT | MountFlags::RDONLY,
        };
        let options = std::ffi::CString::new(options).map_err(|_| {
            Error::new("mount an overlay at", target, rustix::io::Errno::INVAL.into())
        })?;
        rustix::mount::mount(c"overlay", target, c"overlay", flags, options.as_c_str())
            .map_err(|errno| Error::new("mount an overlay at", target, errno.into()))
    }
}

/// Commas end options, and colons end lower directories.
fn push_escaped(options: &mut Vec<u8>, path: &Path) {
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b',' | b':' | b'\\') {
            options.push(b'\\');
        }
        options.push(byte);
    }
}
