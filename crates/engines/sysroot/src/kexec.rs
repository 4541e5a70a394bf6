//! Starting the default deployment without the firmware and the boot loader.

use std::io::Seek as _;
use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, TempFile, kexec};

use crate::boot_loader::offered;
use crate::{Error, Result, Sysroot};

impl Sysroot {
    /// Has the running kernel load that of the default deployment, with its initramfs and
    /// arguments; a reboot by kexec starts it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when nothing is deployed; [`Error::Fs`] when the kernel refuses.
    pub fn load_default_kernel(&self) -> Result<()> {
        let nothing = || Error::other(Kind::NotFound, "Unable to find a deployment in sysroot");
        let boot = self.boot_dir()?.ok_or_else(nothing)?;
        let version = self.boot_version()?.version;
        let entries = boot.open_dir(format!("loader.{version}/entries"))?;
        let (_, entry) = offered(&entries)?.into_iter().next().ok_or_else(nothing)?;
        let kernel = entry
            .get("linux")
            .ok_or_else(|| Error::other(Kind::Invalid, "No \"linux\" key in bootloader config"))?;
        let kernel = boot.open_file(below_boot(kernel))?;
        let images: Vec<&str> = entry
            .get("initrd")
            .into_iter()
            .chain(entry.overlay_initrds().iter().map(String::as_str))
            .collect();
        let initramfs = join(&boot, &images)?;
        let options = entry.get("options").unwrap_or_default();
        Ok(kexec::load(&kernel, initramfs.as_ref(), options)?)
    }
}

/// Entries name files from the root of the file system that `/boot` is on, or from `/`.
fn below_boot(path: &str) -> &Path {
    let path = path.strip_prefix("/boot/").unwrap_or(path);
    Path::new(path.trim_start_matches('/'))
}

/// All images in one file, one after the other, as a boot loader gives them to a kernel.
fn join(boot: &Dir, images: &[&str]) -> Result<Option<std::fs::File>> {
    match images {
        [] => Ok(None),
        [image] => Ok(Some(boot.open_file(below_boot(image))?)),
        images => {
            let path = Path::new("/run");
            let mut joined = TempFile::new_in(&Dir::open(path)?)?;
            for image in images {
                let mut file = boot.open_file(below_boot(image))?;
                std::io::copy(&mut file, &mut joined)
                    .map_err(|source| Error::Copy { path: image.into(), source })?;
            }
            let mut file = joined
                .file()
                .try_clone()
                .map_err(|source| Error::Copy { path: path.into(), source })?;
            file.rewind().map_err(|source| Error::Copy { path: path.into(), source })?;
            Ok(Some(file))
        }
    }
}
