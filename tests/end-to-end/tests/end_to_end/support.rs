//! What a refusal has to say, and what must not have changed.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Device, Site};

/// How an agent has to end when something is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'a> {
    /// The exit code.
    pub(crate) code: i32,
    /// Parts of the error's text.
    pub(crate) says: &'a [&'a str],
    /// A part of the way out.
    pub(crate) hint: &'a str,
}

impl Refusal<'_> {
    /// Whether an answer is this refusal.
    pub(crate) fn fits(&self, answer: &Answer) -> Result<()> {
        let said = &answer.err;
        ensure!(answer.code == self.code, "exit code {}, not {}: {said}", answer.code, self.code);
        ensure!(said.starts_with("error: ") || said.contains("\nerror: "), "no error: {said}");
        for part in self.says {
            ensure!(said.contains(part), "`{part}` is not said: {said}");
        }
        let hints: Vec<_> = said.lines().filter(|line| line.starts_with("hint: ")).collect();
        let named = hints.iter().any(|line| line.contains(self.hint));
        ensure!(named, "no hint has `{}`: {said}", self.hint);
        ensure!(!said.contains("panicked"), "{said}");
        Ok(())
    }

    /// A device on v1 is refused so, and stays on it.
    pub(crate) fn of(&self, site: &Site, device: &Device, arguments: &[&str]) -> Result<()> {
        let answer = device.run(arguments)?;
        self.fits(&answer).with_context(|| format!("{arguments:?}: {self:?}"))?;
        unchanged(site, device)
    }

    /// A device that runs nothing yet is refused so.
    pub(crate) fn of_new(&self, site: &Site, device: &Device, arguments: &[&str]) -> Result<()> {
        let answer = device.run(arguments)?;
        self.fits(&answer).with_context(|| format!("{arguments:?}: {self:?}"))?;
        site.check_store(device)
    }
}

/// The device is on v1, wants no reboot, and its store is whole.
pub(crate) fn unchanged(site: &Site, device: &Device) -> Result<()> {
    site.check_store(device)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted any more");
    let status = device.status()?;
    ensure!(status["reboot_required"] == false, "a reboot is required: {status}");
    ensure!(status["installed"]["sha256"] == site.commit("v1"), "confirmed is {status}");
    let offered = harness::bootable(&device.sysroot())?;
    let default = offered.first().context("find a default")?.display().to_string();
    ensure!(default.contains(site.commit("v1")), "{default} boots next");
    Ok(())
}

/// Asks a process to end, as systemd does.
pub(crate) fn terminate(process: &Child) -> Result<()> {
    signal(process, "TERM")
}

/// Sends a signal to a process.
pub(crate) fn signal(process: &Child, name: &str) -> Result<()> {
    Answer::good(Command::new("kill").args(["-s", name, &process.id().to_string()]))?;
    Ok(())
}

/// Waits until a log says something.
pub(crate) fn wait_for(log: &Path, text: &str) -> Result<()> {
    for _ in 0..600 {
        if std::fs::read_to_string(log).unwrap_or_default().contains(text) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(log).unwrap_or_default();
    anyhow::bail!("`{text}` is never said: {log}")
}
