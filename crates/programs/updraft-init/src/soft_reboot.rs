//! The next root, for a reboot of user space alone.
//!
//! The deployment's root is put together at `/run/nextroot`, where `systemctl soft-reboot` finds it.
//! What it was made of waits in `/run/ostree/nextroot-booted` until the reboot is done. The settings
//! are those of the running system's own `prepare-root.conf`.

use std::fs;
use std::path::Path;

use crate::assemble::{assemble, keep_writable};
use crate::config::{Composefs, Config};
use crate::deployment::Deployment;
use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::KernelArguments;
use crate::{booted, mounts, whole_initramfs};

/// Where systemd looks for the next root.
const NEXT_ROOT: &str = "/run/nextroot";

/// Puts the root of a deployment together, which is named by its folder or a link to it.
pub(crate) fn prepare(sysroot: &Path, name: &str) -> Result<()> {
    if !Path::new(booted::FILE).exists() {
        return Err(Failure::new("this system was not booted from a deployment")
            .way_out("a soft reboot goes from one deployment to another; reboot instead"));
    }
    let line = fs::read_to_string("/proc/cmdline").during(|| "read /proc/cmdline".to_owned())?;
    let arguments = KernelArguments::parse(&line);
    let config = Config::load(Path::new("/"), &arguments)?;
    if config.composefs == Composefs::No {
        return Err(Failure::new("a soft reboot needs composefs")
            .way_out("set [composefs] enabled=yes in prepare-root.conf, or reboot instead"));
    }
    let deployment = Deployment::at(sysroot, Path::new(name))?;
    let target = Path::new(NEXT_ROOT);
    // What an earlier preparation left.
    mounts::detach(target);
    let _ = fs::remove_file(booted::NEXT_FILE);
    mounts::make_folder(target)?;
    let assembled = assemble(&config, sysroot, &deployment, target)?;
    let inside = target.join("sysroot");
    let done = show_physical_root(sysroot, &inside, &deployment, assembled.sysroot_readonly)
        .and_then(|()| assembled.booted.write(Path::new(booted::NEXT_FILE)));
    match &done {
        Ok(()) => whole_initramfs::mount_boot(&arguments, target),
        Err(_) => mounts::detach(target),
    }
    done
}

/// Shows the physical root with all that is mounted in it, such as a `/boot` of its own.
fn show_physical_root(
    sysroot: &Path,
    inside: &Path,
    deployment: &Deployment,
    readonly: bool,
) -> Result<()> {
    mounts::bind_with_all(sysroot, inside)?;
    if readonly {
        let var = deployment.var();
        let var = var.strip_prefix(sysroot).unwrap_or(&var);
        keep_writable(&inside.join(var))?;
    }
    mounts::set_writable(inside, !readonly)
}
