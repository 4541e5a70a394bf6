//! Kernels: Debian's cloud kernel, unpacked below the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::modules::Modules;
use crate::{cache, programs};

/// The package whose dependency is the newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Where newer packages for the same release are.
const BACKPORTS: &str = "http://deb.debian.org/debian bookworm-backports";

/// A kernel with its modules.
#[derive(Debug, Clone)]
pub struct Kernel {
    release: String,
    image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Debian's cloud kernel. The first call downloads it by `apt-get download`; nothing is
    /// installed.
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn cloud() -> Result<Self> {
        Self::in_folder(&cache::once("kernel-cloud", download)?)
    }

    /// The newer cloud kernel of Debian's backports, for what the other does not know: overlayfs
    /// that demands fs-verity, EROFS from files. Downloaded as that of [`Kernel::cloud`].
    ///
    /// # Errors
    /// When it is not there yet and cannot be downloaded.
    pub fn backports() -> Result<Self> {
        Self::in_folder(&cache::once("kernel-backports", download_backports)?)
    }

    /// The only kernel in a folder with `boot/vmlinuz-RELEASE` and `lib/modules/RELEASE`.
    ///
    /// # Errors
    /// When there is none.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let boot = folder.join("boot");
        let files = fs::read_dir(&boot).with_context(|| format!("read {}", boot.display()))?;
        for file in files {
            let name = file?.file_name();
            if let Some(release) = name.to_str().and_then(|name| name.strip_prefix("vmlinuz-")) {
                let modules = folder.join("lib/modules").join(release);
                return Ok(Self { release: release.to_owned(), image: boot.join(&name), modules });
            }
        }
        anyhow::bail!("no kernel in {}", boot.display())
    }

    /// Its release, as `uname -r` says it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The file with the kernel.
    #[must_use]
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Its modules.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn modules(&self) -> Result<Modules> {
        Modules::in_folder(&self.modules)
    }
}

fn download(folder: &Path) -> Result<()> {
    download_with(folder, &[])
}

/// Looks into an archive that the machine itself need not use, with lists of its own.
fn download_backports(folder: &Path) -> Result<()> {
    let apt = tempfile::tempdir()?;
    let path = |name: &str| apt.path().join(name).display().to_string();
    fs::write(path("sources.list"), format!("deb {BACKPORTS} main\n"))?;
    fs::create_dir_all(path("lists/partial"))?;
    fs::create_dir_all(path("cache/archives/partial"))?;
    let options = [
        format!("Dir::Etc::sourcelist={}", path("sources.list")),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::lists={}", path("lists")),
        format!("Dir::Cache={}", path("cache")),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
    let sandbox = ["-o", "APT::Sandbox::User=root"];
    programs::run(Command::new("apt-get").args(["update", "-q"]).args(sandbox).args(&options))?;
    download_with(folder, &options)
}

fn download_with(folder: &Path, options: &[&str]) -> Result<()> {
    let said =
        programs::run(Command::new("apt-cache").args(["depends", META_PACKAGE]).args(options))?;
    let said = String::from_utf8_lossy(&said);
    let package = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("{META_PACKAGE} depends on nothing; run `apt-get update`"))?;
    programs::run(
        Command::new("apt-get")
            .args(["download", "-q", "-o", "APT::Sandbox::User=root", package])
            .args(options)
            .current_dir(folder),
    )?;
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|end| end == "deb") {
            programs::run(Command::new("dpkg-deb").arg("-x").args([&file, folder]))?;
            fs::remove_file(file)?;
        }
    }
    Ok(())
}
