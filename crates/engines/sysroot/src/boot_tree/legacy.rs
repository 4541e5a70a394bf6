//! Where kernels were before `usr/lib/modules`: `usr/lib/ostree-boot`, and before that `boot`.
//!
//! Files are called `vmlinuz[-RELEASE]-BOOTCSUM`, `initramfs[-RELEASE]-BOOTCSUM` and
//! `devicetree[-…]-BOOTCSUM`; the checksum, which must be the same in all, is the boot checksum,
//! and is left out of the names in `/boot`. The build of the tree has computed it.

use updraft_error::Kind;
use updraft_fs::Dir;

use super::{BootFile, BootTree};
use crate::{Error, Options, Result};

/// The older places, the newer first.
const FOLDERS: [&str; 2] = ["usr/lib/ostree-boot", "boot"];

/// Looks through a deployment.
pub(super) fn find(deployment: &Dir, options: &Options) -> Result<Option<BootTree>> {
    for path in FOLDERS {
        if let Some(folder) = deployment.try_open_dir(path)?
            && let Some(tree) = find_in(folder, options)?
        {
            return Ok(Some(tree));
        }
    }
    Ok(None)
}

fn find_in(folder: Dir, options: &Options) -> Result<Option<BootTree>> {
    let (mut kernel, mut initramfs, mut device_tree) = (None, None, None);
    for entry in folder.sorted_entries()? {
        let name = entry.name.to_string_lossy();
        let Some((stem, checksum)) = named(&name) else { continue };
        let found = || Some((BootFile::new(&name, stem.to_owned()), checksum.to_owned()));
        if kernel.is_none() && name.starts_with("vmlinuz-") {
            kernel = found();
        } else if initramfs.is_none() && name.starts_with("initramfs-") {
            initramfs = found();
        } else if device_tree.is_none()
            && name.starts_with("devicetree-")
            && !options.without_device_trees
        {
            device_tree = found();
        }
    }
    let Some((kernel, checksum)) = kernel else { return Ok(None) };
    let same = |file: Option<(BootFile, String)>, what: &str| match file {
        Some((_, other)) if other != checksum => {
            Err(Error::other(Kind::Invalid, format!("Mismatched kernel checksum vs {what}")))
        }
        file => Ok(file.map(|(file, _)| file)),
    };
    Ok(Some(BootTree {
        kernel,
        initramfs: same(initramfs, "initrd")?,
        device_tree: same(device_tree, "device tree in tree")?,
        has_device_tree_folder: false,
        hmac: None,
        android: None,
        unified: None,
        kernel_is_unified: false,
        checksum: checksum.clone(),
        folder,
    }))
}

/// The name without its checksum, and the checksum.
fn named(name: &str) -> Option<(&str, &str)> {
    let (stem, checksum) = name.rsplit_once('-')?;
    let is_checksum = checksum.len() == 64 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_checksum.then_some((stem, checksum))
}
