//! Starting the default deployment without the firmware and the boot loader.
//!
//! What is loaded is what the boot loader would load: the files that the default's entry names, or
//! the parts of its unified kernel image. Nobody counts such a start as a try; when the machine is
//! reset after it, the boot loader goes on with all tries that were left.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use updraft_bootenv::BootEntry;
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile, kexec};

use crate::boot_loader::offered;
use crate::unified_image::headers;
use crate::{Error, Result, Sysroot};

/// A kernel that can be started without the firmware.
#[derive(Debug)]
pub struct NextKernel {
    /// The kernel.
    pub kernel: File,
    /// Its initramfs, with all overlays behind it.
    pub initramfs: Option<File>,
    /// Its command line.
    pub options: String,
}

impl NextKernel {
    /// Has the running kernel load this one; a reboot by kexec starts it.
    ///
    /// # Errors
    /// [`Error::Fs`] when the kernel refuses.
    pub fn load(&self) -> Result<()> {
        Ok(kexec::load(&self.kernel, self.initramfs.as_ref(), &self.options)?)
    }
}

impl Sysroot {
    /// The kernel of the default deployment, with its initramfs and arguments.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when nothing is deployed; [`Kind::Invalid`] when what is offered names
    /// no kernel.
    pub fn default_kernel(&self) -> Result<NextKernel> {
        let nothing = || Error::other(Kind::NotFound, "Unable to find a deployment in sysroot");
        if let Some(esp) = self.esp()? {
            let offer = self.esp_offers(&esp)?.into_iter().next().ok_or_else(nothing)?;
            let image = match offer.kind {
                crate::esp::Kind::Image => offer.entry.get("linux"),
                crate::esp::Kind::Entry => offer.entry.get("efi"),
            };
            return match image {
                Some(path) => self.taken_apart(&esp, path, &offer.entry),
                None => self.named(&esp, &offer.entry),
            };
        }
        let boot = self.boot_dir()?.ok_or_else(nothing)?;
        let version = self.boot_version()?.version;
        let entries = boot.open_dir(format!("loader.{version}/entries"))?;
        let (_, entry) = offered(&entries)?.into_iter().next().ok_or_else(nothing)?;
        self.named(&boot, &entry)
    }

    /// The files that an entry names.
    fn named(&self, boot: &Dir, entry: &BootEntry) -> Result<NextKernel> {
        let kernel = entry
            .get("linux")
            .ok_or_else(|| Error::other(Kind::Invalid, "No \"linux\" key in bootloader config"))?;
        let kernel = boot.open_file(below_boot(kernel))?;
        let images: Vec<&str> = entry
            .get("initrd")
            .into_iter()
            .chain(entry.overlay_initrds().iter().map(String::as_str))
            .collect();
        let initramfs = match images.as_slice() {
            [] => None,
            [image] => Some(boot.open_file(below_boot(image))?),
            images => {
                // All in one file, one after the other, as a boot loader gives them to a kernel.
                let mut parts = Vec::new();
                for image in images {
                    parts.push((boot.open_file(below_boot(image))?, u64::MAX));
                }
                Some(self.joined(parts, boot.path())?)
            }
        };
        let options = entry.get("options").unwrap_or_default().to_owned();
        Ok(NextKernel { kernel, initramfs, options })
    }

    /// The parts of a unified kernel image.
    fn taken_apart(&self, esp: &Dir, path: &str, entry: &BootEntry) -> Result<NextKernel> {
        let path = below_boot(path);
        let failed = |source| Error::Copy { path: esp.path().join(path), source };
        let mut program = esp.open_file(path)?;
        let no_image = || {
            let message = format!("{} is no unified kernel image", esp.path().join(path).display());
            Error::other(Kind::Invalid, message)
        };
        let image = headers(&mut program).map_err(failed)?.ok_or_else(no_image)?;
        let part = |name: &str| -> Result<Option<File>> {
            let Some(section) = image.section(name) else { return Ok(None) };
            let mut file = esp.open_file(path)?;
            file.seek(SeekFrom::Start(u64::from(section.offset))).map_err(failed)?;
            self.joined(vec![(file, u64::from(section.content_size()))], path).map(Some)
        };
        let kernel = part(".linux")?.ok_or_else(no_image)?;
        let initramfs = part(".initrd")?;
        let options = entry.get("options").unwrap_or_default().to_owned();
        Ok(NextKernel { kernel, initramfs, options })
    }

    /// So many bytes of each file, one after the other, in memory.
    fn joined(&self, parts: Vec<(File, u64)>, from: &Path) -> Result<File> {
        let failed = |source| Error::Copy { path: from.into(), source };
        let mut joined = TempFile::new_in(&Dir::open(&self.options.run_folder)?)?;
        for (file, size) in parts {
            std::io::copy(&mut file.take(size), &mut joined).map_err(failed)?;
        }
        // The kernel loads nothing that somebody has open for writing.
        let own = format!("/proc/self/fd/{}", joined.file().as_raw_fd());
        let file = rustix::fs::open(own, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        file.map(File::from).map_err(|errno| failed(errno.into()))
    }
}

/// Entries name files from the root of the file system that `/boot` is on, or from `/`.
fn below_boot(path: &str) -> &Path {
    let path = path.strip_prefix("/boot/").unwrap_or(path);
    Path::new(path.trim_start_matches('/'))
}
