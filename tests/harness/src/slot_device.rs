//! A device with two slots in files, whose boot loader counts in the names of entries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{Answer, Device, DeviceOptions, Programs, boot};

/// How often a new slot is tried.
pub const SLOT_TRIES: u32 = 2;
/// A system with this in it is found ill.
pub const ILL: &str = "THIS SYSTEM IS ILL";

/// A device with two slots.
#[derive(Debug)]
pub struct SlotDevice {
    /// Its agent, which is as any other.
    pub device: Device,
    folder: PathBuf,
}

impl SlotDevice {
    /// Makes one that runs slot `a`, which nobody knows the content of. Its slots have `size` bytes,
    /// and payloads have to be signed by the key whose public half is in `key` (PEM).
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn create(
        programs: &Programs,
        folder: &Path,
        (id, hardware): (&str, &str),
        credentials: &Path,
        (key, size): (&Path, usize),
    ) -> Result<Self> {
        let options = DeviceOptions::default();
        let device = Device::create(programs, folder, id, hardware, credentials, &options)?;
        let folder = folder.join(id);
        let entries = folder.join("sysroot/boot/loader/entries");
        std::fs::create_dir_all(&entries)?;
        for (name, slot, version) in [("slot-a", 'a', 2), ("slot-b+0-1", 'b', 1)] {
            let entry = format!(
                "title {slot}\nversion {version}\nlinux /vmlinuz\noptions updraft.slot={slot}\n"
            );
            std::fs::write(entries.join(format!("{name}.conf")), entry)?;
            std::fs::write(folder.join(format!("system_{slot}")), vec![0; size])?;
        }
        let at = |name: &str| folder.join(name).display().to_string();
        let slots = format!(
            "state = \"{}\"\nkeys = [\"{}\"]\ntries = {SLOT_TRIES}\n\
             [boot-control.entries]\nfolder = \"{}\"\nnames = [\"slot-a\", \"slot-b\"]\n\
             [partitions]\nsystem = [\"{}\", \"{}\"]\n",
            at("slots"),
            key.display(),
            entries.display(),
            at("system_a"),
            at("system_b"),
        );
        std::fs::write(folder.join("slots.toml"), slots)?;
        let check = format!(
            "! grep -q \"{ILL}\" {}$(sed 's/.*updraft.slot=//' {})",
            at("system_"),
            at("cmdline")
        );
        let agent = format!(
            "[pacman]\ntype = \"slots\"\n[slots]\nconfig = \"{}\"\n[[health.checks]]\n\
             name = \"ill\"\ncommand = [\"/bin/sh\", \"-c\", '''{check}''']\n",
            at("slots.toml")
        );
        let drop_ins = device.configuration_file().with_extension("d");
        std::fs::create_dir_all(&drop_ins)?;
        std::fs::write(drop_ins.join("slots.toml"), agent)?;
        let new = Self { device, folder };
        new.boot()?;
        Ok(new)
    }

    /// The file with the content of a slot.
    #[must_use]
    pub fn slot(&self, slot: char) -> PathBuf {
        self.folder.join(format!("system_{slot}"))
    }

    /// The folder where the engine of its slots remembers what it did.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("slots")
    }

    /// Reboots; gives the slot that runs then.
    ///
    /// # Errors
    /// When there is nothing to boot.
    pub fn boot(&self) -> Result<char> {
        let run = self.folder.join("run");
        let _ = std::fs::remove_file(self.device.reboot_request());
        let title = boot(&self.device.sysroot(), &self.folder.join("cmdline"), &run)?;
        title.chars().next().context("an entry has a title")
    }

    /// The slot that runs.
    ///
    /// # Errors
    /// When nothing does.
    pub fn running(&self) -> Result<char> {
        let text = std::fs::read_to_string(self.folder.join("cmdline"))?;
        let (_, slot) = text.split_once("updraft.slot=").context("a slot runs")?;
        slot.chars().next().context("the slot is named")
    }

    /// Cycles and reboots until a cycle asks for no reboot, at most `limit` times.
    ///
    /// # Errors
    /// With what the agent said.
    pub fn settle(&self, limit: usize) -> Result<()> {
        for _ in 0..limit {
            let answer = self.device.run(&["run-once"])?;
            ensure!(
                answer.code == 0 || answer.err.contains("the system that ran before"),
                "{}",
                answer.err
            );
            if self.device.status()?["reboot_required"] == true {
                self.boot()?;
            } else {
                return Ok(());
            }
        }
        anyhow::bail!("{} still wants to reboot after {limit} cycles", self.device.id())
    }

    /// `updraft slots` with these arguments and its JSON.
    ///
    /// # Errors
    /// With what it said.
    pub fn updraft_slots(
        &self,
        programs: &Programs,
        arguments: &[&str],
    ) -> Result<serde_json::Value> {
        let mut command = programs.command("updraft");
        command.args(["slots", "--json", "--config"]).arg(self.folder.join("slots.toml"));
        Answer::good(command.args(arguments))?.json()
    }
}
