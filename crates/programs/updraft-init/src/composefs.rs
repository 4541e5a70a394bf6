//! Mounting a deployment's composefs image as the root.
//!
//! ```text
//! .ostree.cfs (EROFS: names, modes, xattrs)    mounted at LOWER, which only root may look into
//! ostree/repo/objects (the files' bytes)       never seen by name: a data-only layer
//! overlay of both                              the new root
//! ```
//!
//! Before Linux 6.5 overlayfs has no data-only layers. There the objects are an ordinary lowest
//! layer, whose names the image hides: it has whiteouts for `00` to `ff`.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::MountFlags;
use updraft_composefs::VerityDigest;

use crate::assemble::transient_folder;
use crate::booted::Booted;
use crate::config::{Composefs, Config, Root};
use crate::console::say;
use crate::deployment::Deployment;
use crate::failure::{During, Failure, Result};
use crate::{mounts, signature};

/// The image's name in a deployment.
const IMAGE: &str = ".ostree.cfs";
/// What is nobody's business.
const PRIVATE: &str = "/run/ostree/.private";
/// Where the image is mounted.
const LOWER: &str = "/run/ostree/.private/cfsroot-lower";
/// Where the layers of a transient root are: in [`PRIVATE`], with a number.
const TRANSIENT: &str = ".private/root";

/// Mounts the image at `target`, when the configuration wants it and, for `maybe`, there is one.
/// Says whether it did.
pub(crate) fn mount(
    config: &Config,
    physical: &Path,
    deployment: &Deployment,
    target: &Path,
    booted: &mut Booted,
) -> Result<bool> {
    if config.composefs == Composefs::No {
        return Ok(false);
    }
    let path = deployment.path.join(IMAGE);
    let image = match File::open(&path) {
        Ok(image) => image,
        Err(error)
            if error.kind() == ErrorKind::NotFound && config.composefs == Composefs::Maybe =>
        {
            say("the deployment has no composefs image; its folder becomes the root");
            return Ok(false);
        }
        Err(error) => {
            return Err(error).during(|| format!("open the image {}", path.display())).map_err(
                |failure| {
                    failure.way_out(
                        "deploy again with composefs on, or boot with \
                         ostree.prepare-root.composefs=maybe",
                    )
                },
            );
        }
    };
    let objects = physical.join("ostree/repo/objects");
    if let Some(keys) = &config.signed_by {
        let vouched =
            signature::vouched_digest(&objects, deployment.commit(), &signature::read_keys(keys)?)?;
        check_digest(&image, &vouched)?;
        say(&format!("the commit is signed; its image has the digest {vouched}"));
        booted.text("composefs.signed", keys);
    }
    mounts::make_folder(Path::new("/run/ostree"))?;
    mounts::make_private_folder(Path::new(PRIVATE))?;
    mounts::make_private_folder(Path::new(LOWER))?;
    mount_image(&image, Path::new(LOWER))?;
    let mounted = mount_overlay(config, &objects, target);
    // The overlay holds the image; nobody needs to find it.
    mounts::detach(Path::new(LOWER));
    mounted?;
    booted.flag("composefs", true);
    booted.flag("composefs.verity", config.verity);
    Ok(true)
}

/// The digest must be the kernel's own word: bytes that are hashed here could be others when they
/// are read again.
fn check_digest(image: &File, vouched: &VerityDigest) -> Result<()> {
    let way_out = "the repository needs [ex-integrity] fsverity=yes on a file system that has \
                   fs-verity; then deploy again";
    let Some(measured) = updraft_fs::verity::measure(image) else {
        return Err(Failure::new("the composefs image has no fs-verity").way_out(way_out));
    };
    if measured == *vouched.as_bytes() {
        return Ok(());
    }
    let measured = VerityDigest::from_bytes(measured);
    Err(Failure::new(format!(
        "the composefs image has the digest {measured}, but the signed commit says {vouched}"
    ))
    .way_out("boot another deployment, and deploy this one again"))
}

/// Mounts the very file that was checked: by itself (Linux 6.12), else through a loop device.
fn mount_image(image: &File, target: &Path) -> Result<()> {
    let own = PathBuf::from(format!("/proc/self/fd/{}", image.as_raw_fd()));
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    match rustix::mount::mount(&own, target, "erofs", flags | MountFlags::SILENT, None) {
        Ok(()) => return Ok(()),
        Err(Errno::NOTBLK | Errno::NODEV | Errno::INVAL) => {}
        Err(errno) => return Err(errno).during(|| format!("mount the image {IMAGE}")),
    }
    let (device, path) = updraft_fs::loops::attach(image)
        .map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Failure::new(format!("cannot {error}: {}", cause.unwrap_or_default()))
        })
        .map_err(|failure| {
            failure.way_out(
                "put the modules loop and erofs into the initramfs, or use Linux 6.12 or newer",
            )
        })?;
    mounts::mount(&path.to_string_lossy(), target, "erofs", flags, "")?;
    drop(device);
    Ok(())
}

fn mount_overlay(config: &Config, objects: &Path, target: &Path) -> Result<()> {
    let mut flags = MountFlags::empty();
    let mut more = String::from(",redirect_dir=on,metacopy=on");
    if config.verity {
        more.push_str(",verity=require");
    }
    if config.root == Root::Deployment {
        flags |= MountFlags::RDONLY;
    } else {
        let layers = transient_folder(TRANSIENT)?;
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        mounts::make_folder(&upper)?;
        mounts::make_folder(&work)?;
        more = format!("{more},upperdir={},workdir={}", upper.display(), work.display());
    }
    let with = |separator| format!("lowerdir={LOWER}{separator}{}{more}", objects.display());
    let tried = mounts::mount("overlay", target, "overlay", flags, &with("::"));
    let Err(failure) = tried else { return Ok(()) };
    if config.verity {
        return Err(failure
            .way_out("verity needs Linux 6.6 or newer, and fs-verity on the root file system"));
    }
    mounts::mount("overlay", target, "overlay", flags, &with(":"))
}
