//! The kernel, initramfs and device tree of a deployment, and the hash that names them.
//!
//! Looked for in the first `usr/lib/modules/*/` that has a `vmlinuz`. The boot checksum is
//! SHA-256 over kernel, initramfs and device tree, one after the other.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind};
use updraft_ostree::Checksum;

use crate::{Error, Result};

const BUFFER: usize = 128 * 1024;

/// One file to be copied to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootFile {
    /// Its path within [`BootTree::folder`].
    pub(crate) source: PathBuf,
    /// Its name in `/boot/ostree/OS-BOOTCSUM`.
    pub(crate) name: String,
}

/// What a boot loader loads.
#[derive(Debug)]
pub(crate) struct BootTree {
    /// `usr/lib/modules/RELEASE` of the deployment.
    pub(crate) folder: Dir,
    pub(crate) kernel: BootFile,
    pub(crate) initramfs: Option<BootFile>,
    pub(crate) device_tree: Option<BootFile>,
    /// Whether the device tree is a folder of many, which the boot loader chooses from.
    pub(crate) has_device_tree_folder: bool,
    pub(crate) checksum: String,
}

impl BootTree {
    /// Looks through a deployment.
    pub(crate) fn find(deployment: &Dir) -> Result<Self> {
        let missing = || {
            let message =
                "Failed to find kernel in /usr/lib/modules, /usr/lib/ostree-boot or /boot";
            Error::other(Kind::NotFound, message)
        };
        let modules = deployment.try_open_dir("usr/lib/modules")?.ok_or_else(missing)?;
        let mut found = None;
        for entry in modules.sorted_entries()? {
            if entry.kind == FileKind::Directory {
                let folder = modules.open_dir(&entry.name)?;
                if folder.exists("vmlinuz")? {
                    found = Some((entry.name.to_string_lossy().into_owned(), folder));
                    break;
                }
            }
        }
        let (release, folder) = found.ok_or_else(missing)?;
        let file = |source: &str, name: String| BootFile { source: source.into(), name };
        let kernel = file("vmlinuz", format!("vmlinuz-{release}"));
        let mut initramfs = None;
        for source in ["initramfs.img", "initramfs"] {
            if initramfs.is_none() && folder.exists(source)? {
                initramfs = Some(file(source, format!("initramfs-{release}.img")));
            }
        }
        let (mut device_tree, mut has_device_tree_folder) = (None, false);
        if folder.exists("dtb")? && folder.metadata("dtb")?.kind == FileKind::Directory {
            device_tree = Some(file("dtb", "dtb".to_owned()));
            has_device_tree_folder = true;
        } else if folder.exists("devicetree")? {
            device_tree = Some(file("devicetree", format!("devicetree-{release}")));
        }
        let mut tree = Self {
            folder,
            kernel,
            initramfs,
            device_tree,
            has_device_tree_folder,
            checksum: String::new(),
        };
        tree.checksum = tree.hash()?;
        Ok(tree)
    }

    fn hash(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        let files = [Some(&self.kernel), self.initramfs.as_ref()];
        for file in files.into_iter().flatten() {
            hash_file(&self.folder, &file.source, &mut hasher)?;
        }
        match &self.device_tree {
            Some(_) if self.has_device_tree_folder => {
                hash_folder(&self.folder.open_dir("dtb")?, &mut hasher)?;
            }
            Some(file) => hash_file(&self.folder, &file.source, &mut hasher)?,
            None => {}
        }
        Ok(Checksum::from_bytes(hasher.finalize().into()).to_string())
    }
}

fn hash_folder(folder: &Dir, hasher: &mut Sha256) -> Result<()> {
    for entry in folder.sorted_entries()? {
        if entry.kind == FileKind::Directory {
            hash_folder(&folder.open_dir(&entry.name)?, hasher)?;
        } else {
            hash_file(folder, &PathBuf::from(&entry.name), hasher)?;
        }
    }
    Ok(())
}

fn hash_file(folder: &Dir, name: &PathBuf, hasher: &mut Sha256) -> Result<()> {
    let mut file: File = folder.open_file(name)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|source| Error::Copy { path: folder.path().join(name), source })?;
        match buffer.get(..read) {
            Some([]) | None => return Ok(()),
            Some(bytes) => hasher.update(bytes),
        }
    }
}
