//! Further initramfs images, shared by all deployments that name them.
//!
//! They are in `/boot/ostree/initramfs-overlays/CHECKSUM.img`, named by their content.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, atomic_write};
use updraft_ostree::Checksum;

use crate::esp::put_new;
use crate::{Deployment, Error, Locked, Result};

const FOLDER: &str = "initramfs-overlays";

/// An image that is larger than this fits no `/boot`.
pub(crate) const MAX_IMAGE: u64 = 1024 * 1024 * 1024;

/// The path of an image as entries name it.
pub(crate) fn path_of(checksum: &str) -> String {
    format!("/ostree/{FOLDER}/{checksum}.img")
}

impl Locked<'_> {
    /// Copies the images to `/boot`, and gives their paths as entries name them.
    pub(crate) fn install_overlay_initrds(&self, images: &[PathBuf]) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for image in images {
            let (checksum, bytes) = read(image)?;
            self.install_overlay_initrd(&checksum, &bytes)?;
            paths.push(path_of(&checksum.to_string()));
        }
        Ok(paths)
    }

    pub(crate) fn install_overlay_initrd(&self, checksum: &Checksum, bytes: &[u8]) -> Result<()> {
        let name = format!("{checksum}.img");
        let esp = self.sysroot.esp()?;
        let on_esp = esp.is_some();
        let boot = match esp {
            Some(esp) => esp,
            None => self.sysroot.root.ensure_dir("boot", 0o755)?,
        };
        let folder = boot.ensure_dir("ostree", 0o755)?.ensure_dir(FOLDER, 0o755)?;
        if folder.exists(&name)? {
            // Its name is a hash of its content.
        } else if on_esp {
            put_new(&folder, &name, bytes)?;
        } else {
            atomic_write(&folder, &name, bytes, 0o644)?;
        }
        Ok(())
    }

    /// Removes the images that no deployment names.
    pub(crate) fn remove_overlay_initrds(&self, list: &[Deployment]) -> Result<()> {
        let Some(boot) = self.sysroot.kernels_dir()? else { return Ok(()) };
        let Some(ostree) = boot.try_open_dir("ostree")? else { return Ok(()) };
        let Some(folder) = ostree.try_open_dir(FOLDER)? else { return Ok(()) };
        let used: BTreeSet<&str> = list
            .iter()
            .flat_map(|deployment| &deployment.overlay_initrds)
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        for entry in folder.sorted_entries()? {
            if !entry.name.to_str().is_some_and(|name| used.contains(name)) {
                folder.try_unlink(&entry.name)?;
            }
        }
        Ok(())
    }
}

/// An image and its checksum.
pub(crate) fn read(path: &Path) -> Result<(Checksum, Vec<u8>)> {
    let failed = |source| Error::Copy { path: path.to_path_buf(), source };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = Dir::open(folder.unwrap_or(Path::new(".")))?;
    let file = folder.open_file(path.file_name().unwrap_or_default())?;
    let mut bytes = Vec::new();
    file.take(MAX_IMAGE).read_to_end(&mut bytes).map_err(failed)?;
    Ok((Checksum::from_bytes(Sha256::digest(&bytes).into()), bytes))
}
