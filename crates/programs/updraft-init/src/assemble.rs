//! Putting a deployment's root together: everything but moving it into place.
//!
//! ```text
//! TARGET            the composefs image, or the deployment's folder
//! TARGET/boot       the physical root's /boot, when the boot loader's files are there
//! TARGET/etc        the deployment's /etc, writable; or a transient overlay over /usr/etc
//! TARGET/usr        read-only; or a hotfix overlay
//! TARGET/var        the stateroot's /var, when nobody else would mount it
//! ```

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;
use updraft_ostree::KeyFile;

use crate::booted::Booted;
use crate::config::{Composefs, Config, Root};
use crate::console::say;
use crate::deployment::Deployment;
use crate::failure::{During, Failure, Result};
use crate::{composefs, mounts};

/// Says that somebody wants `/var` mounted here, whatever the system brings.
const MOUNT_VAR: &str = "/run/ostree/initramfs-mount-var";
/// How older versions of `ostree-remount` learn that `/sysroot` is to be read-only.
const READONLY_STAMP: &str = "/run/ostree-sysroot-ro.stamp";
/// The layers of `ostree admin unlock --hotfix`.
const HOTFIX_UPPER: &str = ".usr-ovl-upper";
const HOTFIX_WORK: &str = ".usr-ovl-work";

/// What the mounts were made of.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// What the running system is told.
    pub(crate) booted: Booted,
    /// Whether `/sysroot` is to be read-only.
    pub(crate) sysroot_readonly: bool,
    /// Whether the root is an overlay, which belongs to no device.
    pub(crate) is_image: bool,
}

/// Puts the root of `deployment` together at `target`, an empty folder.
///
/// # Errors
/// With all mounts at `target` taken away again.
pub(crate) fn assemble(
    config: &Config,
    physical: &Path,
    deployment: &Deployment,
    target: &Path,
) -> Result<Assembled> {
    let assembled = assemble_mounts(config, physical, deployment, target);
    if assembled.is_err() {
        mounts::detach(target);
    }
    assembled
}

fn assemble_mounts(
    config: &Config,
    physical: &Path,
    deployment: &Deployment,
    target: &Path,
) -> Result<Assembled> {
    let was_writable = mounts::is_writable(physical);
    let sysroot_readonly = sysroot_readonly(config, physical);
    let mut booted = Booted::default();
    booted.identity(deployment.identity()?);
    booted.flag("root.transient", config.root != Root::Deployment);
    booted.flag("root.transient-ro", config.root == Root::TransientReadOnly);

    let is_image = composefs::mount(config, physical, deployment, target, &mut booted)?;
    if !is_image {
        if config.root != Root::Deployment {
            return Err(Failure::new("a transient root needs composefs")
                .way_out("set [composefs] enabled=yes in prepare-root.conf of the initramfs"));
        }
        mounts::bind(&deployment.path, target)?;
    }
    booted.flag("sysroot-ro", sysroot_readonly);

    mount_boot(physical, target)?;
    if sysroot_readonly || is_image || config.etc_transient {
        mount_etc(config, deployment, target, &mut booted)?;
    }
    mount_usr(config, deployment, target, is_image, was_writable)?;
    if must_mount_var(target) {
        let place = target.join("var");
        mounts::bind(&deployment.var(), &place)?;
        mounts::set_writable(&place, true)?;
        mounts::make_slave_and_shared(&place)?;
    }
    if config.root == Root::TransientReadOnly {
        mounts::set_writable(target, false)?;
    }
    if sysroot_readonly {
        fs::File::create(READONLY_STAMP).during(|| format!("write {READONLY_STAMP}"))?;
    }
    Ok(Assembled { booted, sysroot_readonly, is_image })
}

/// Keeps the stateroot's `/var` writable when what is around it will not be.
pub(crate) fn keep_writable(var: &Path) -> Result<()> {
    mounts::bind(var, var)?;
    mounts::set_writable(var, true)
}

/// The initramfs decides; when it does not, and the root is no image whose integrity is yet to be
/// established, the repository's configuration does.
fn sysroot_readonly(config: &Config, physical: &Path) -> bool {
    if let Some(readonly) = config.sysroot_readonly
        && (readonly || config.composefs == Composefs::Yes)
    {
        return readonly;
    }
    let text = fs::read_to_string(physical.join("ostree/repo/config")).unwrap_or_default();
    let file = KeyFile::parse(&text).unwrap_or_default();
    matches!(file.get_bool("sysroot", "readonly"), Ok(Some(true)))
}

/// Shows `/boot` when it is a folder of the root file system. When it is a file system of its own,
/// the running system mounts it.
fn mount_boot(physical: &Path, target: &Path) -> Result<()> {
    let loader = physical.join("boot/loader");
    let place = target.join("boot");
    let is_here = loader.symlink_metadata().is_ok_and(|found| found.file_type().is_symlink());
    if is_here && is_folder(&place) {
        mounts::bind(&physical.join("boot"), &place)?;
    }
    Ok(())
}

fn mount_etc(
    config: &Config,
    deployment: &Deployment,
    target: &Path,
    booted: &mut Booted,
) -> Result<()> {
    let place = target.join("etc");
    if !config.etc_transient {
        mounts::bind(&deployment.path.join("etc"), &place)
            .map_err(|failure| failure.way_out("the deployment has no /etc: deploy again"))?;
        return mounts::set_writable(&place, true);
    }
    let layers = transient_folder("transient-etc")?;
    booted.text("transient-etc", &layers);
    let (upper, work) = (layers.join("upper"), layers.join("work"));
    mounts::make_folder(&upper)?;
    mounts::make_folder(&work)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        target.join("usr/etc").display(),
        upper.display(),
        work.display()
    );
    mounts::mount("overlay", &place, "overlay", MountFlags::empty(), &options)
}

/// A new folder in `/run`; after a soft reboot the old one may still be in use.
pub(crate) fn transient_folder(name: &str) -> Result<PathBuf> {
    mounts::make_folder(Path::new("/run/ostree"))?;
    for number in 0..1000_u32 {
        let folder = PathBuf::from(format!("/run/ostree/{name}.{number:06}"));
        if fs::DirBuilder::new().mode(0o700).create(&folder).is_ok() {
            return Ok(folder);
        }
    }
    Err(Failure::new(format!("cannot make a folder {name} in /run/ostree")))
}

fn mount_usr(
    config: &Config,
    deployment: &Deployment,
    target: &Path,
    is_image: bool,
    was_writable: bool,
) -> Result<()> {
    let place = target.join("usr");
    let work = deployment.path.join(HOTFIX_WORK);
    if is_folder(&work) {
        // A hotfix is signed by nobody.
        if is_image && config.signed_by.is_some() {
            say("the hotfix over /usr is left out: only what is signed may run");
            return Ok(());
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            place.display(),
            deployment.path.join(HOTFIX_UPPER).display(),
            work.display()
        );
        let flags = if was_writable { MountFlags::empty() } else { MountFlags::RDONLY };
        return mounts::mount("overlay", &place, "overlay", flags, &options);
    }
    if !is_image {
        mounts::bind(&place, &place)?;
        mounts::set_writable(&place, false)?;
    }
    Ok(())
}

/// With systemd, a unit that libostree's generator makes mounts `/var`, or `fstab` has a line for
/// it. Nobody does in a system without either.
fn must_mount_var(target: &Path) -> bool {
    if Path::new(MOUNT_VAR).exists() {
        return true;
    }
    if !is_folder(&target.join("var")) {
        return false;
    }
    let has = |name: &str| {
        ["usr/lib/systemd", "lib/systemd"]
            .iter()
            .any(|folder| target.join(folder).join(name).symlink_metadata().is_ok())
    };
    let table = fs::read_to_string(target.join("etc/fstab")).unwrap_or_default();
    let in_table = table.lines().any(|line| line.split_whitespace().nth(1) == Some("/var"));
    !(has("systemd") && (has("system-generators/ostree-system-generator") || in_table))
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}
