//! The next root, for a reboot of user space alone.
//!
//! The deployment's root is moved to `/run/nextroot`, where `systemctl soft-reboot` finds it.
//! What it was made of waits in `/run/ostree/nextroot-booted` until the reboot is done. The settings
//! are those of the running system's own `prepare-root.conf`.
//!
//! Who asks for it may be in a mount namespace of its own, in which `/sysroot` is writable. What is
//! mounted there is seen by all others as it is at that moment; whether it becomes read-only later is
//! each namespace's own matter. So the root is put together where nobody else sees it, and moved to
//! its place as a whole. None of its mounts is a peer of one of the running system, which that takes
//! away when it ends.

use std::fs;
use std::path::Path;

use crate::assemble::{Assembled, assemble, keep_writable};
use crate::config::{Composefs, Config};
use crate::deployment::Deployment;
use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::KernelArguments;
use crate::{booted, mounts, whole_initramfs};

/// Where systemd looks for the next root.
const NEXT_ROOT: &str = "/run/nextroot";
/// Where it is put together, in a mount that is no one else's.
const WORKPLACE: &str = "/run/ostree/nextroot.new";
const ROOT: &str = "root";

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
    let (target, workplace) = (Path::new(NEXT_ROOT), Path::new(WORKPLACE));
    // What an earlier preparation left.
    mounts::detach(target);
    mounts::detach(workplace);
    let _ = fs::remove_file(booted::NEXT_FILE);
    mounts::make_folder(target)?;
    mounts::make_folder(workplace)?;
    mounts::bind(workplace, workplace)?;
    let done = put_together(&config, sysroot, &deployment, workplace).and_then(|assembled| {
        whole_initramfs::mount_boot(&arguments, &workplace.join(ROOT));
        // The copies of what is shared, too.
        mounts::make_private(workplace)?;
        mounts::move_to(&workplace.join(ROOT), target)?;
        assembled.booted.write(Path::new(booted::NEXT_FILE))
    });
    mounts::detach(workplace);
    if done.is_err() {
        mounts::detach(target);
    }
    done
}

/// Puts the root together in the folder of that name in the workplace.
fn put_together(
    config: &Config,
    sysroot: &Path,
    deployment: &Deployment,
    workplace: &Path,
) -> Result<Assembled> {
    mounts::make_private(workplace)?;
    let root = workplace.join(ROOT);
    mounts::make_folder(&root)?;
    let assembled = assemble(config, sysroot, deployment, &root)?;
    let readonly = assembled.sysroot_readonly;
    show_physical_root(sysroot, &root.join("sysroot"), deployment, readonly)?;
    Ok(assembled)
}

/// Shows the physical root with all that is mounted in it, such as a `/boot` of its own.
fn show_physical_root(
    sysroot: &Path,
    inside: &Path,
    deployment: &Deployment,
    readonly: bool,
) -> Result<()> {
    mounts::bind_with_all(sysroot, inside)?;
    mounts::make_private(inside)?;
    if readonly {
        let var = deployment.var();
        let var = inside.join(var.strip_prefix(sysroot).unwrap_or(&var));
        // That of the running system.
        mounts::detach(&var);
        keep_writable(&var)?;
    }
    mounts::set_writable(inside, !readonly)
}
