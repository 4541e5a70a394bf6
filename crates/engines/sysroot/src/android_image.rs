//! The image that Android's boot loader takes: the tree's own `aboot.img`, or one made from its
//! kernel, initramfs and device tree where the repository's configuration says how:
//!
//! ```ini
//! [updraft]
//! bootloader=aboot
//! android-header-version=2
//! android-page-size=2048
//! android-base=0x10000000
//! ```
//! The command line in it is the deployment's, without `ostree=`: which slot is booted is told by
//! `androidboot.slot_suffix`, and `ostree/root.a` or `root.b` leads from there.

use std::io::{Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use updraft_bootenv::AndroidHeader;
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile};
use updraft_ostree::Checksum;

use crate::boot_loader::BootLoader;
use crate::boot_tree::{BootFile, BootTree};
use crate::{Deployment, Error, Locked, Result};

const PAGE_SIZE: u32 = 2048;
const BASE: u32 = 0x1000_0000;
/// Bytes of a header in which its version is.
const BEGINNING: u64 = 64;
/// Digits of the hash that tells command lines apart.
const SHORT: usize = 16;

impl Locked<'_> {
    /// Sees to the image of a deployment in the folder of its kernels, and gives its name there.
    /// `None`: no boot loader wants one.
    pub(crate) fn install_android_image(
        &self,
        kernels: &Dir,
        tree: &BootTree,
        deployment: &Deployment,
    ) -> Result<Option<String>> {
        if self.sysroot.boot_loader()? != Some(BootLoader::Aboot) {
            return Ok(None);
        }
        if let Some(own) = &tree.android {
            let mut begin = Vec::new();
            let read = kernels.open_file(&own.name)?.take(BEGINNING).read_to_end(&mut begin);
            read.map_err(|source| failed(kernels, &own.name, source))?;
            if AndroidHeader::version_of(&begin).is_none() {
                let message = format!("{} of {} is no Android boot image", own.name, deployment.id);
                return Err(Error::other(Kind::Invalid, message));
            }
            return Ok(Some(own.name.clone()));
        }
        let Some(version) = self.number("android-header-version")? else { return Ok(None) };
        let cmdline = deployment.kernel_args.to_string();
        let hash = Checksum::from_bytes(Sha256::digest(&cmdline).into()).to_string();
        let release = tree.kernel.name.trim_start_matches("vmlinuz-");
        let name = format!("aboot-{release}-{}.img", hash.get(..SHORT).unwrap_or(&hash));
        if kernels.exists(&name)? {
            return Ok(Some(name));
        }
        let single = tree.device_tree.as_ref().filter(|_| !tree.has_device_tree_folder);
        let size = |file: Option<&BootFile>| -> Result<u32> {
            let size = match file {
                Some(file) => tree.folder.open_file(&file.source)?.metadata().map(|it| it.len()),
                None => Ok(0),
            };
            let size = size.map_err(|source| failed(kernels, &name, source))?;
            u32::try_from(size)
                .map_err(|_| Error::other(Kind::Invalid, "a kernel of 4 GiB fits no image"))
        };
        let header = AndroidHeader {
            version,
            page_size: match self.number("android-page-size")? {
                Some(page_size) => page_size,
                None if version >= 3 => 4096,
                None => PAGE_SIZE,
            },
            base: self.number("android-base")?.unwrap_or(BASE),
            kernel_size: size(Some(&tree.kernel))?,
            ramdisk_size: size(tree.initramfs.as_ref())?,
            dtb_size: if version == 2 { size(single)? } else { 0 },
            cmdline,
        };
        let dtb = single.filter(|_| version == 2);
        let parts = [Some(&tree.kernel), tree.initramfs.as_ref(), dtb];
        write(kernels, &name, &header, tree, parts.into_iter().flatten())?;
        Ok(Some(name))
    }

    /// A number of the section `[updraft]`.
    fn number(&self, key: &str) -> Result<Option<u32>> {
        let Some(text) = self.sysroot.repo.config().key_file().get("updraft", key) else {
            return Ok(None);
        };
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let bad = |_| Error::other(Kind::Invalid, format!("Invalid value '{text}' of {key}"));
        number.map(Some).map_err(bad)
    }
}

fn write<'a>(
    kernels: &Dir,
    name: &str,
    header: &AndroidHeader,
    tree: &BootTree,
    parts: impl Iterator<Item = &'a BootFile>,
) -> Result<()> {
    let head = header
        .encode()
        .map_err(|source| Error::Entry { path: kernels.path().join(name), source })?;
    let mut image = TempFile::new_in(kernels)?;
    let io = |source| failed(kernels, name, source);
    image.write_all(&head).map_err(io)?;
    for part in parts {
        let mut source = tree.folder.open_file(&part.source)?;
        let size = std::io::copy(&mut source, &mut image).map_err(io)?;
        let mut zeros = std::io::repeat(0).take(header.padding(size));
        std::io::copy(&mut zeros, &mut image).map_err(io)?;
    }
    image.set_mode(0o644)?;
    image.sync()?;
    // It appears whole under its name, which tells its kernel and its command line.
    image.persist_replace(kernels, Path::new(name))?;
    kernels.sync()?;
    Ok(())
}

fn failed(folder: &Dir, name: &str, source: std::io::Error) -> Error {
    Error::Copy { path: folder.path().join(name), source }
}
