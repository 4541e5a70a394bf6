//! A machine for people to play with: it runs in the background until it is taken down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Programs;
use machine::{Answer, Machine};

use crate::{DiskFile, Image, Rack, Release, Repository};

const BOOT: Duration = Duration::from_mins(5);
const UPDATE: Duration = Duration::from_mins(10);
/// Its releases; an update goes to the other one.
const RELEASES: [&str; 2] = ["one", "two"];

/// What the init of each release runs.
const RC: &str = "\
mount -o remount,rw /sysroot
mount LABEL=boot /boot || mount /dev/vda2 /boot
mkdir -p /run/site && mount -o ro /dev/vdb /run/site
";

/// A machine in a folder.
#[derive(Debug, Clone)]
pub struct Playground {
    folder: PathBuf,
}

impl Playground {
    /// The one in this folder, which need not exist yet.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    /// Makes a disk image with GRUB and the first release, and switches the machine on.
    ///
    /// # Errors
    /// When it runs already, or a program does not do its part.
    pub fn up(&self, programs: &Programs, updraft: &Path, say: &dyn Fn(&str)) -> Result<()> {
        ensure!(self.machine().is_err(), "it is up already; `down` takes it away");
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder)?;
        let repository = Repository::create(programs, &self.folder.join("site"))?;
        for name in RELEASES {
            say(&format!("making release {name}"));
            let release = Release::new(name).program(updraft).file("usr/etc/rc", 0o755, RC);
            repository.add(&release)?;
        }
        say("making the disk");
        let image = Image::of(&repository, RELEASES[0]).option("--boot-loader=grub");
        image.build(&self.folder.join("disk"))?;
        let mut medium = Command::new("mkfs.ext4");
        medium.args(["-q", "-F", "-d"]).arg(repository.medium()).arg(self.medium()).arg("300M");
        ensure!(medium.status()?.success(), "make a medium with the releases");
        self.switch_on(say)
    }

    /// Runs a shell command in it.
    ///
    /// # Errors
    /// When it does not run, or does not answer.
    pub fn run(&self, command: &str) -> Result<Answer> {
        self.machine()?.run_within(command, UPDATE)
    }

    /// Updates it to its other release, and reboots.
    ///
    /// # Errors
    /// With what was said.
    pub fn update(&self, say: &dyn Fn(&str)) -> Result<()> {
        let mut machine = self.machine()?;
        let release = machine.run(". /usr/lib/os-release; echo $VERSION_ID")?.good()?;
        let next = if release.trim() == RELEASES[0] { RELEASES[1] } else { RELEASES[0] };
        say(&format!("it runs {}; deploying {next}", release.trim()));
        let deploy = format!(
            "updraft ostree --repo=/sysroot/ostree/repo pull-local --remote=site \
             /run/site/repo os/{next} && updraft ostree admin deploy --os=os site:os/{next}"
        );
        say(machine.run_within(&deploy, UPDATE)?.good()?.trim_end());
        machine.tell("sync; reboot -f")?;
        machine.wait_for(&format!("SYSTEM READY {next}"), BOOT)?;
        say(&format!("it runs {next}"));
        Ok(())
    }

    /// Cuts the power, and switches it on again.
    ///
    /// # Errors
    /// When it does not run, or does not come up.
    pub fn cut(&self, say: &dyn Fn(&str)) -> Result<()> {
        self.machine()?.kill();
        self.switch_on(say)
    }

    /// Switches it off and removes it.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub fn down(&self) -> Result<()> {
        if let Ok(mut machine) = self.machine() {
            machine.kill();
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    fn medium(&self) -> PathBuf {
        self.folder.join("medium")
    }

    fn machine(&self) -> Result<Machine> {
        let text = fs::read_to_string(self.folder.join("process"));
        let text = text.context("it is not up; `up` switches it on")?;
        Machine::attach(&self.folder, text.trim().parse()?)
    }

    fn switch_on(&self, say: &dyn Fn(&str)) -> Result<()> {
        let disk = DiskFile { path: self.folder.join("disk"), parts: Vec::new() };
        let medium = self.medium();
        let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
        let device = "virtio-blk-pci,drive=medium";
        let rack = Rack::new(&self.folder, disk).with_efi()?;
        let mut machine = rack.with_arguments(&["-drive", &drive, "-device", device]).start()?;
        say("booting");
        let console = machine.wait_for("SYSTEM READY", BOOT)?;
        say(console.lines().last().unwrap_or_default());
        fs::write(self.folder.join("process"), machine.leave_running()?.to_string())?;
        Ok(())
    }
}
