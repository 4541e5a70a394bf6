//! Writing to the root of the system that runs, where that is mounted read-only for all others.

use std::path::Path;

use updraft_fs::mount;

use crate::Result;

/// What says that the system runs from a deployment.
const BOOTED: &str = "/run/ostree-booted";

/// Where the running system was made from a deployment and its own root is mounted read-only:
/// makes that, and `/boot`, writable for this thread and all that it starts, and for nobody else.
///
/// To be called before anything below `/sysroot` is opened. Does nothing without the rights to.
///
/// # Errors
/// When the kernel does not do it.
pub fn make_running_writable() -> Result<()> {
    let sysroot = Path::new("/sysroot");
    let may = rustix::process::geteuid().is_root();
    if !may || !Path::new(BOOTED).exists() || !sysroot.exists() || !mount::is_read_only(sysroot)? {
        return Ok(());
    }
    mount::unshare_namespace()?;
    mount::remount_writable(sysroot)?;
    let boot = Path::new("/boot");
    if boot.exists() && mount::is_read_only(boot)? {
        // Where it is no mount of its own, it is part of the other.
        if let Err(error) = mount::remount_writable(boot)
            && error.io_kind() != std::io::ErrorKind::InvalidInput
        {
            return Err(error.into());
        }
    }
    Ok(())
}
