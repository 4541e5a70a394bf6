//! A physical root that the real `ostree` deploys into, in a folder of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs;

/// The stateroot of all deployments here.
const OS: &str = "os";

/// A physical root.
#[derive(Debug, Clone)]
pub struct Sysroot {
    folder: PathBuf,
}

/// What a boot loader would offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The kernel's arguments.
    pub options: String,
    /// The value of `ostree=`.
    pub link: String,
    /// The name of the deployment, `CSUM.N`.
    pub deployment: String,
    /// The kernel, relative to `/boot`.
    pub linux: String,
    /// The initramfs, relative to `/boot`; empty when there is none.
    pub initrd: String,
}

impl Sysroot {
    /// Makes an empty one.
    ///
    /// # Errors
    /// When `ostree` fails.
    pub fn init(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let sysroot = Self { folder: folder.to_path_buf() };
        programs::run(Command::new("ostree").args(["admin", "init-fs"]).arg(folder))?;
        sysroot.admin(&["os-init", OS])?;
        Ok(sysroot)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Commits a tree and deploys it as the new default. `arguments` are for `ostree admin
    /// deploy`, such as `--karg=quiet`. Gives the checksum of the commit.
    ///
    /// # Errors
    /// When `ostree` fails.
    pub fn deploy(&self, tree: &Path, arguments: &[&str]) -> Result<String> {
        let mut commit = self.ostree();
        commit.arg("commit").args(["-b", OS, "--owner-uid=0", "--owner-gid=0", "--no-xattrs"]);
        let checksum = programs::run(commit.arg(format!("--tree=dir={}", tree.display())))?;
        let os = format!("--os={OS}");
        let words = [&["deploy", os.as_str(), "--retain"][..], arguments, &[OS]].concat();
        self.admin(&words)?;
        Ok(String::from_utf8_lossy(&checksum).trim().to_owned())
    }

    /// `ostree --repo=…`, to be completed.
    #[must_use]
    pub fn ostree(&self) -> Command {
        let mut command = Command::new("ostree");
        command.arg(format!("--repo={}", self.folder.join("ostree/repo").display()));
        command
    }

    /// Runs `ostree admin`.
    ///
    /// # Errors
    /// When it fails.
    pub fn admin(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("ostree");
        command.arg("admin").args(&arguments[..1]);
        command.arg(format!("--sysroot={}", self.folder.display())).args(&arguments[1..]);
        // Folders that cannot be removed are of no use to a test.
        command.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments");
        Ok(String::from_utf8_lossy(&programs::run(&mut command)?).into_owned())
    }

    /// The folder of a deployment.
    #[must_use]
    pub fn deployment(&self, name: &str) -> PathBuf {
        self.folder.join("ostree/deploy").join(OS).join("deploy").join(name)
    }

    /// The entries, the default first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn entries(&self) -> Result<Vec<BootEntry>> {
        let folder = self.folder.join("boot/loader/entries");
        let mut entries = Vec::new();
        for file in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let text = fs::read_to_string(file?.path())?;
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
                line.unwrap_or_default().trim().to_owned()
            };
            let options = value("options");
            let link = options.split_whitespace().find_map(|word| word.strip_prefix("ostree="));
            let link = link.context("an entry without ostree=")?.to_owned();
            let path = self.folder.join(link.trim_start_matches('/')).canonicalize()?;
            let deployment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (linux, initrd) = (value("linux"), value("initrd"));
            let version: u32 = value("version").parse().context("read an entry's version")?;
            entries.push((version, BootEntry { options, link, deployment, linux, initrd }));
        }
        entries.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }
}
