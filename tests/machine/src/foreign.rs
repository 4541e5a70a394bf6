//! What runs on other processors than this machine's: Debian's packages, unpacked.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::packages::Archive;
use crate::{Kernel, cache, packages};

const DEBIAN: &str = "http://deb.debian.org/debian bookworm";

/// A processor that QEMU emulates, and that is not this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A board with U-Boot.
    Arm64,
    /// A mainframe.
    S390x,
}

impl Foreign {
    /// Debian's kernel for it. The first call downloads it by `apt-get download`.
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn kernel(self) -> Result<Kernel> {
        Kernel::in_folder(&self.folder()?)
    }

    /// Debian's busybox for it, static as that of this machine.
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn busybox(self) -> Result<PathBuf> {
        Ok(self.folder()?.join("bin/busybox"))
    }

    /// A folder with all of its packages: the kernel, busybox and, for mainframes, `zipl`.
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn folder(self) -> Result<PathBuf> {
        cache::once(self.name(), |folder| self.download(folder))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::S390x => "s390x",
        }
    }

    fn download(self, folder: &Path) -> Result<()> {
        let (kernel, more): (_, &[&str]) = match self {
            Self::Arm64 => ("linux-image-cloud-arm64", &[]),
            Self::S390x => ("linux-image-s390x", &["s390-tools", "libc6"]),
        };
        Archive::Foreign(DEBIAN, self.name()).with_options(|options| {
            for package in ["busybox-static"].iter().chain(more) {
                packages::unpack(package, folder, options)?;
            }
            packages::unpack(&packages::dependency(kernel, options)?, folder, options)
        })
    }
}
