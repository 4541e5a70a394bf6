//! Debian's packages, downloaded by `apt-get` and unpacked. Nothing is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs;

/// Where packages come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Archive {
    /// Where this machine has its own from.
    Own,
    /// Another one, such as `http://deb.debian.org/debian bookworm-backports`.
    Other(&'static str),
    /// Another one, for another processor.
    Foreign(&'static str, &'static str),
}

impl Archive {
    /// Does something with the options that make apt look there. This machine itself need not know
    /// of the archive: the lists are of their own.
    pub(crate) fn with_options<T>(self, work: impl FnOnce(&[&str]) -> Result<T>) -> Result<T> {
        let (source, architecture) = match self {
            Self::Own => return work(&[]),
            Self::Other(source) => (source, None),
            Self::Foreign(source, architecture) => (source, Some(architecture)),
        };
        let apt = tempfile::tempdir()?;
        let path = |name: &str| apt.path().join(name).display().to_string();
        fs::write(path("sources.list"), format!("deb {source} main\n"))?;
        fs::create_dir_all(path("lists/partial"))?;
        fs::create_dir_all(path("cache/archives/partial"))?;
        let mut options = vec![
            format!("Dir::Etc::sourcelist={}", path("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
        ];
        if let Some(architecture) = architecture {
            options.push(format!("APT::Architecture={architecture}"));
            options.push(format!("APT::Architectures::={architecture}"));
            options.push("Dir::State::status=/dev/null".to_owned());
        }
        let options: Vec<&str> =
            options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
        let sandbox = ["-o", "APT::Sandbox::User=root"];
        programs::run(Command::new("apt-get").args(["update", "-q"]).args(sandbox).args(&options))?;
        work(&options)
    }
}

/// The first package that a package without content depends on.
pub(crate) fn dependency(meta_package: &str, options: &[&str]) -> Result<String> {
    let said =
        programs::run(Command::new("apt-cache").args(["depends", meta_package]).args(options))?;
    let said = String::from_utf8_lossy(&said);
    let found = said.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    found
        .map(str::to_owned)
        .with_context(|| format!("{meta_package} depends on nothing; run `apt-get update`"))
}

/// Unpacks a package into a folder.
pub(crate) fn unpack(package: &str, folder: &Path, options: &[&str]) -> Result<()> {
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
