//! Disk images with a release.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use harness::Answer;

use crate::release::Repository;
use crate::{DiskFile, Part};

/// How an image is to be made: `updraft image build` with these options.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    repository: &'a Repository,
    rev: String,
    options: Vec<String>,
}

impl<'a> Image<'a> {
    /// An image of a release, with a small `/boot` and root.
    #[must_use]
    pub fn of(repository: &'a Repository, release: &str) -> Self {
        let options = [
            "--origin=site:os/main",
            "--karg=console=ttyS0",
            "--karg=panic=1",
            "--karg=no_timer_check",
            // Nobody attacks it, and under emulation that costs a fifth of the time.
            "--karg=mitigations=off",
            "--karg=nokaslr",
            "--karg=cryptomgr.notests",
            // What a kernel tells would stand in the midst of what a program says.
            "--karg=loglevel=4",
        ];
        let sizes = ["--boot-size=64M", "--root-size=320M", "--esp-size=80M"];
        let remote = [
            "--set=remote \"site\".url=file:///run/site/repo",
            "--set=remote \"site\".gpg-verify=false",
            "--set=core.min-free-space-size=1MB",
        ];
        let options = [&options[..], &sizes, &remote].concat();
        let options = options.into_iter().map(str::to_owned).collect();
        Self { repository, rev: format!("os/{release}"), options }
    }

    /// With a `/boot` and a root of these sizes, such as `512M`.
    #[must_use]
    pub fn sizes(mut self, boot: &str, root: &str) -> Self {
        self.options.retain(|option| {
            !option.starts_with("--boot-size") && !option.starts_with("--root-size")
        });
        self.option(format!("--boot-size={boot}")).option(format!("--root-size={root}"))
    }

    /// With one more option of `updraft image build`. A size takes the place of the usual one.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        let option = option.into();
        if let Some((key, _)) = option.split_once('=').filter(|(key, _)| key.ends_with("-size")) {
            self.options.retain(|other| !other.starts_with(&format!("{key}=")));
        }
        self.options.push(option);
        self
    }

    /// The initramfs counts the tries of a new system, which has so many.
    #[must_use]
    pub fn counting(self, tries: u32) -> Self {
        self.option("--set=updraft.boot-counting=initramfs")
            .option(format!("--set=sysroot.boot-counting-tries={tries}"))
            .option("--karg=updraft.fallback=previous")
    }

    /// Makes it.
    ///
    /// # Errors
    /// With what the program said.
    pub fn build(&self, path: &Path) -> Result<DiskFile> {
        let mut command = self.repository.programs().command("updraft");
        command.args(["image", "build", "--json", "--repo"]).arg(self.repository.path());
        command.args(&self.options).arg(&self.rev).arg(path);
        let report = Answer::good(&mut command)?.json()?;
        let mut parts = Vec::new();
        for one in report["partitions"].as_array().context("read the partitions")? {
            let number = |key: &str| one[key].as_u64().context("read a partition");
            let name = one["name"].as_str().context("read a partition")?.to_owned();
            parts.push(Part { name, offset: number("offset")?, size: number("size")? });
        }
        Ok(DiskFile { path: PathBuf::from(path), parts })
    }
}
