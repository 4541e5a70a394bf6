//! The kernel, initramfs and device tree of a deployment, and the hash that names them.
//!
//! Looked for in the first `usr/lib/modules/*/` that has a `vmlinuz`, and in the older places
//! ([`legacy`]), which win only where they have an initramfs and the first has none. The boot
//! checksum is SHA-256 over kernel, initramfs and device tree, one after the other. Where there is
//! only a unified kernel image, that is the kernel.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata};
use updraft_ostree::Checksum;

use crate::{Error, Options, Result};

mod legacy;
mod unified;

const BUFFER: usize = 128 * 1024;

/// One file to be copied to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootFile {
    /// Its path within [`BootTree::folder`].
    pub(crate) source: PathBuf,
    /// Its name in `/boot/ostree/OS-BOOTCSUM`.
    pub(crate) name: String,
}

impl BootFile {
    fn new(source: &str, name: String) -> Self {
        Self { source: source.into(), name }
    }
}

/// What a boot loader loads.
#[derive(Debug)]
pub(crate) struct BootTree {
    /// The folder of all its files.
    pub(crate) folder: Dir,
    pub(crate) kernel: BootFile,
    pub(crate) initramfs: Option<BootFile>,
    pub(crate) device_tree: Option<BootFile>,
    /// Whether the device tree is a folder of many, which the boot loader chooses from.
    pub(crate) has_device_tree_folder: bool,
    /// What a kernel in FIPS mode checks itself against.
    pub(crate) hmac: Option<BootFile>,
    /// Kernel and initramfs as an image for Android's boot loader.
    pub(crate) android: Option<BootFile>,
    /// Kernel and initramfs as one EFI program, which its maker may have signed.
    pub(crate) unified: Option<BootFile>,
    /// Whether the kernel is that program: there is no other.
    pub(crate) kernel_is_unified: bool,
    pub(crate) checksum: String,
}

impl BootTree {
    /// Looks through a deployment.
    pub(crate) fn find(deployment: &Dir, options: &Options) -> Result<Self> {
        let modules = Self::find_in_modules(deployment, options)?;
        let complete =
            modules.as_ref().is_some_and(|tree| tree.initramfs.is_some() || tree.kernel_is_unified);
        let legacy = if complete { None } else { legacy::find(deployment, options)? };
        match (modules, legacy) {
            (Some(tree), None) => tree.with_hash(),
            (Some(tree), Some(legacy)) if legacy.initramfs.is_none() => tree.with_hash(),
            (_, Some(legacy)) => Ok(legacy),
            (None, None) => {
                let message =
                    "Failed to find kernel in /usr/lib/modules, /usr/lib/ostree-boot or /boot";
                Err(Error::other(Kind::NotFound, message))
            }
        }
    }

    /// Everything to be copied.
    pub(crate) fn files(&self) -> impl Iterator<Item = &BootFile> {
        let optional = [&self.initramfs, &self.device_tree, &self.hmac, &self.android];
        std::iter::once(&self.kernel).chain(optional.into_iter().flatten())
    }

    fn find_in_modules(deployment: &Dir, options: &Options) -> Result<Option<Self>> {
        let Some(modules) = deployment.try_open_dir("usr/lib/modules")? else { return Ok(None) };
        for entry in modules.sorted_entries()? {
            if entry.kind == FileKind::Directory {
                let folder = modules.open_dir(&entry.name)?;
                let unified = unified::find(&folder)?;
                if unified.is_some() || folder.exists("vmlinuz")? {
                    let release = entry.name.to_string_lossy();
                    return Self::of_release(folder, &release, unified, options).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn of_release(
        folder: Dir,
        release: &str,
        unified: Option<BootFile>,
        options: &Options,
    ) -> Result<Self> {
        let alone = match &unified {
            Some(file) if unified::is_alone(&folder, file)? => Some(file.clone()),
            _ => None,
        };
        let kernel_is_unified = alone.is_some();
        let kernel = || BootFile::new("vmlinuz", format!("vmlinuz-{release}"));
        let mut tree = Self {
            kernel: alone.unwrap_or_else(kernel),
            unified,
            kernel_is_unified,
            initramfs: None,
            device_tree: None,
            has_device_tree_folder: false,
            hmac: None,
            android: None,
            checksum: String::new(),
            folder,
        };
        for source in ["initramfs.img", "initramfs"] {
            if tree.initramfs.is_none() && !kernel_is_unified && tree.folder.exists(source)? {
                tree.initramfs = Some(BootFile::new(source, format!("initramfs-{release}.img")));
            }
        }
        let is_folder = |found: &Metadata| found.kind == FileKind::Directory;
        if options.without_device_trees {
            // The device tree of the firmware is used.
        } else if tree.folder.try_metadata("dtb")?.as_ref().is_some_and(is_folder) {
            tree.device_tree = Some(BootFile::new("dtb", "dtb".to_owned()));
            tree.has_device_tree_folder = true;
        } else if tree.folder.exists("devicetree")? {
            tree.device_tree = Some(BootFile::new("devicetree", format!("devicetree-{release}")));
        }
        if tree.folder.exists("aboot.img")? {
            tree.android = Some(BootFile::new("aboot.img", format!("aboot-{release}.img")));
        }
        if tree.folder.exists(".vmlinuz.hmac")? {
            tree.hmac = Some(BootFile::new(".vmlinuz.hmac", format!(".vmlinuz-{release}.hmac")));
        }
        Ok(tree)
    }

    /// The kernel's release.
    pub(crate) fn release(&self) -> &str {
        self.kernel.name.trim_start_matches("vmlinuz-")
    }

    fn with_hash(mut self) -> Result<Self> {
        self.checksum = self.hash()?;
        Ok(self)
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

/// The hash of one file.
pub(crate) fn hash_of(folder: &Dir, file: &BootFile) -> Result<Checksum> {
    let mut hasher = Sha256::new();
    hash_file(folder, &file.source, &mut hasher)?;
    Ok(Checksum::from_bytes(hasher.finalize().into()))
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
