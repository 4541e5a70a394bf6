//! From the physical root to the deployment's root, in the same place.
//!
//! Before: SYSROOT is the physical root. After: SYSROOT is the deployment's root, and
//! SYSROOT/sysroot the physical one. Whoever called us makes SYSROOT the root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::assemble::{assemble, keep_writable};
use crate::booted;
use crate::config::Config;
use crate::console::{complain, say};
use crate::deployment::Deployment;
use crate::failure::{During, Failure, Result};
use crate::mounts;

/// Where the new root is put together.
const WORKPLACE: &str = "/sysroot.tmp";
/// The same, when the physical root is the root and may be read-only.
const WORKPLACE_IN_RUN: &str = "/run/ostree/root.new";

/// Where systemd looks for the device of a root that has none.
const DEVICE_LINK: &str = "/run/systemd/volatile-root";

/// Makes `sysroot`, the physical root, the root of `deployment`. `ready` is run when the new root is
/// put together and the physical one is still where it was.
///
/// # Errors
/// With `sysroot` as it was, so that another deployment can be tried.
pub(crate) fn prepare(
    config: &Config,
    sysroot: &Path,
    deployment: &Deployment,
    ready: impl FnOnce(),
) -> Result<()> {
    say(&format!("booting deployment {} ({})", deployment.name(), deployment.path.display()));
    mounts::make_private(Path::new("/"))?;
    let is_root = sysroot == Path::new("/");
    let workplace = Path::new(if is_root { WORKPLACE_IN_RUN } else { WORKPLACE });
    mounts::make_folder(workplace)?;
    let assembled = assemble(config, sysroot, deployment, workplace)?;
    ready();
    let moved = assembled.booted.write(Path::new(booted::FILE)).and_then(|()| {
        if assembled.is_image {
            name_device(deployment);
        }
        let inside = workplace.join("sysroot");
        if !inside.is_dir() {
            return Err(Failure::new("the deployment has no folder /sysroot")
                .way_out("commit a tree with an empty folder /sysroot"));
        }
        if assembled.sysroot_readonly {
            keep_writable(&deployment.var())?;
        }
        if is_root { pivot(workplace, &inside) } else { mounts::move_to(sysroot, &inside) }
    });
    if moved.is_err() {
        mounts::detach(workplace);
        return moved;
    }
    // From here on nothing can fail that another deployment would be spared.
    if !is_root {
        mounts::move_to(workplace, sysroot)?;
        let _ = fs::remove_dir(workplace);
    }
    if assembled.sysroot_readonly {
        mounts::set_writable(&sysroot.join("sysroot"), false)?;
    }
    Ok(())
}

/// Tells systemd which device the root is on, when that cannot be seen from the root itself. It uses
/// this to find the EFI system partition.
fn name_device(deployment: &Deployment) {
    let Ok((device, _)) = deployment.identity() else { return };
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    // A btrfs, for one, has no device of its own.
    if major == 0 {
        return;
    }
    let link = Path::new(DEVICE_LINK);
    let made = link.parent().map_or(Ok(()), mounts::make_folder).and_then(|()| {
        symlink(format!("/dev/block/{major}:{minor}"), link)
            .during(|| format!("make the link {DEVICE_LINK}"))
    });
    if let Err(failure) = made {
        complain(&failure.to_string());
    }
}

/// Makes `root` the root and moves the old one to `old`, a folder in it.
fn pivot(root: &Path, old: &Path) -> Result<()> {
    rustix::process::pivot_root(root, old).during(|| "change the root".to_owned())?;
    std::env::set_current_dir("/").during(|| "enter the new root".to_owned())
}
