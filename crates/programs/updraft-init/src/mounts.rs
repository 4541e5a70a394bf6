//! Mounting, with the sentence that a person needs when it fails.

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::failure::{During, Failure, Result};

/// Makes a folder with those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).during(|| format!("make the folder {}", path.display()))
}

/// Makes a folder that only root may look into.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).during(|| format!("make the folder {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// `mount -t KIND -o DATA SOURCE TARGET`.
pub(crate) fn mount(
    source: &str,
    target: &Path,
    kind: &str,
    flags: MountFlags,
    data: &str,
) -> Result<()> {
    let options = CString::new(data)
        .map_err(|_| Failure::new(format!("the mount options `{data}` contain a NUL")))?;
    rustix::mount::mount(source, target, kind, flags | MountFlags::SILENT, options.as_c_str())
        .during(|| format!("mount {source} ({kind}) on {}", target.display()))
        .map_err(|failure| {
            if is_known(kind) {
                return failure;
            }
            failure.way_out(format!(
                "this kernel does not know {kind}: put the module {kind} into the initramfs"
            ))
        })
}

/// Whether the kernel knows a kind of file system now.
pub(crate) fn is_known(kind: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().next_back() == Some(kind))
}

/// Shows a folder at a second place.
pub(crate) fn bind(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind(source, target)
        .during(|| format!("show {} at {}", source.display(), target.display()))
}

/// Shows a folder at a second place, with all that is mounted below it.
pub(crate) fn bind_with_all(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind_recursive(source, target)
        .during(|| format!("show {} at {}", source.display(), target.display()))
}

/// Makes a mount writable or read-only. Its other flags stay.
pub(crate) fn set_writable(target: &Path, writable: bool) -> Result<()> {
    let what = || {
        let how = if writable { "writable" } else { "read-only" };
        format!("make {} {how}", target.display())
    };
    let mut flags = flags_of(target)? | MountFlags::BIND;
    flags.set(MountFlags::RDONLY, !writable);
    rustix::mount::mount_remount(target, flags, "").during(what)
}

/// Makes a whole file system writable or read-only, wherever it is mounted.
pub(crate) fn remount(target: &Path, writable: bool) -> Result<()> {
    let mut flags = flags_of(target)?;
    flags.set(MountFlags::RDONLY, !writable);
    rustix::mount::mount_remount(target, flags, "")
        .during(|| format!("remount {}", target.display()))
}

/// The flags of the mount that a path is on.
fn flags_of(path: &Path) -> Result<MountFlags> {
    let have = rustix::fs::statvfs(path).during(|| format!("look at {}", path.display()))?.f_flag;
    let pairs = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    Ok(pairs
        .into_iter()
        .filter(|(flag, _)| have.contains(*flag))
        .fold(MountFlags::empty(), |flags, (_, flag)| flags | flag))
}

/// Whether the file system that a path is on can be written to through that path.
pub(crate) fn is_writable(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Moves a mount to another place.
pub(crate) fn move_to(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_move(source, target)
        .during(|| format!("move the mount {} to {}", source.display(), target.display()))
}

/// Makes a mount and those below it private: what is shared cannot be moved.
pub(crate) fn make_private(target: &Path) -> Result<()> {
    let flags = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change(target, flags)
        .during(|| format!("make the mounts below {} private", target.display()))
}

/// Makes a mount take part in the events of others, but not the other way round, and share its own.
pub(crate) fn make_slave_and_shared(target: &Path) -> Result<()> {
    for flags in [MountPropagationFlags::DOWNSTREAM, MountPropagationFlags::SHARED] {
        rustix::mount::mount_change(target, flags)
            .during(|| format!("set how {} shares its mounts", target.display()))?;
    }
    Ok(())
}

/// Takes a mount away with all below it, in use or not. That there is none is as good.
pub(crate) fn detach(target: &Path) {
    let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
}
