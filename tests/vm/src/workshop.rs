//! A repository of releases, disks with one of them, and a medium that brings the others to a
//! machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Answer, Programs};
use machine::Machine;
use tempfile::TempDir;

use crate::{Image, Rack, Release, Repository};

/// What a busy machine needs for a boot.
const BOOT: Duration = Duration::from_mins(5);
/// What a busy machine needs to take an update.
const UPDATE: Duration = Duration::from_mins(5);

/// Mounts the medium with the releases.
const MOUNT_MEDIUM: &str = "grep -q ' /run/site ' /proc/mounts || \
                            { mkdir -p /run/site; mount -o ro /dev/vdb /run/site; }";

/// A folder with a repository of releases.
#[derive(Debug)]
pub struct Workshop {
    folder: TempDir,
    /// The releases.
    pub repository: Repository,
}

impl Workshop {
    /// One with these releases.
    ///
    /// # Errors
    /// When the programs are not built, or do not do their part.
    pub fn new(releases: &[Release]) -> Result<Self> {
        let folder = tempfile::tempdir_in("/var/tmp")?;
        let programs = Programs::beside_tests()?;
        let repository = Repository::create(&programs, &folder.path().join("site"))?;
        for release in releases {
            repository.add(release)?;
        }
        Ok(Self { folder, repository })
    }

    /// Where files may be left.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A machine with this image, and the repository on a medium of its own.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn rack(&self, image: &Image<'_>) -> Result<Rack> {
        let disk = image.build(&self.folder().join("disk"))?;
        let medium = self.folder().join("medium");
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-d"]).arg(self.repository.medium()).arg(&medium).arg("300M");
        Answer::good(&mut make)?;
        let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
        let device = "virtio-blk-pci,drive=medium";
        Ok(Rack::new(self.folder(), disk).with_arguments(&["-drive", &drive, "-device", device]))
    }
}

/// The `updraft` of this build.
///
/// # Errors
/// When the running program is not a test of it.
pub fn updraft() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("find target/debug")?;
    Ok(folder.join("updraft"))
}

/// A machine of a [`Workshop`] that runs, and is looked at from its inside.
#[derive(Debug)]
pub struct Inside {
    rack: Rack,
    machine: Machine,
}

impl Inside {
    /// Switches a machine on, and waits until it is up with a release.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn of(rack: Rack, release: &str) -> Result<Self> {
        let mut machine = rack.start()?;
        machine.wait_for(&ready(release), BOOT)?;
        Ok(Self { rack, machine })
    }

    /// What a command says, which has to succeed.
    ///
    /// # Errors
    /// With what it said.
    pub fn run(&mut self, command: &str) -> Result<String> {
        let answer = self.machine.run_within(command, UPDATE)?;
        answer.good().with_context(|| format!("run `{command}`"))
    }

    /// What a command says, which has to fail.
    ///
    /// # Errors
    /// When it succeeds.
    pub fn refused(&mut self, command: &str) -> Result<String> {
        let answer = self.machine.run_within(command, UPDATE)?;
        anyhow::ensure!(answer.status != 0, "`{command}` succeeds: {}", answer.output);
        Ok(answer.output)
    }

    /// Mounts the medium with the releases, where their remote is.
    ///
    /// # Errors
    /// With what was said.
    pub fn mount_medium(&mut self) -> Result<()> {
        self.run(MOUNT_MEDIUM).map(drop)
    }

    /// Takes the objects of a release from the medium.
    ///
    /// # Errors
    /// With what was said.
    pub fn fetch(&mut self, release: &str) -> Result<()> {
        self.mount_medium()?;
        let pull = "updraft ostree --repo=/sysroot/ostree/repo pull-local --remote=site";
        self.run(&format!("{pull} /run/site/repo os/{release}")).map(drop)
    }

    /// `ostree admin` in it.
    ///
    /// # Errors
    /// With what it said.
    pub fn admin(&mut self, arguments: &str) -> Result<String> {
        self.run(&format!("updraft ostree admin {arguments}"))
    }

    /// The deployments, the default first.
    ///
    /// # Errors
    /// When `ostree admin status` fails.
    pub fn deployments(&mut self) -> Result<Vec<serde_json::Value>> {
        let text = self.admin("status --json")?;
        let mut status: serde_json::Value = serde_json::from_str(&text)?;
        let list = status["deployments"].as_array_mut().context("find the deployments")?;
        Ok(std::mem::take(list))
    }

    /// Gives a command that the agent does not survive, and waits until the console says something.
    /// Gives what it said until then.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn tell(&mut self, command: &str, wanted: &str) -> Result<String> {
        self.machine.tell(command)?;
        self.machine.wait_for(wanted, BOOT)
    }

    /// Reboots it, with a change from outside while it is off, and waits until it is up with a
    /// release. Gives what the console said.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn reboot_after(
        &mut self,
        change: impl FnOnce(&crate::DiskFile) -> Result<()>,
        release: &str,
    ) -> Result<String> {
        self.machine.tell("sync; reboot -f")?;
        self.machine.wait_for_end(BOOT)?;
        change(&self.rack.disk)?;
        self.machine = self.rack.start()?;
        self.machine.wait_for(&ready(release), BOOT)
    }

    /// Reboots it and waits until it is up with a release. Gives what the console said.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn reboot(&mut self, release: &str) -> Result<String> {
        self.reboot_after(|_| Ok(()), release)
    }
}

fn ready(release: &str) -> String {
    format!("SYSTEM READY {release}")
}
