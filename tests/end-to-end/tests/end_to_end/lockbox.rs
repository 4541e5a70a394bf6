//! Media: made by the operator, installed by devices without a network, and brought back.

#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Device, DeviceOptions, Site};

use crate::support::{self, Refusal};

/// The folder of a medium.
struct Lockbox {
    folder: PathBuf,
    path: String,
}

impl Lockbox {
    fn at(folder: PathBuf) -> Self {
        let path = folder.display().to_string();
        Self { folder, path }
    }

    fn create(site: &Site, folder: &str, name: &str, release: &str) -> Result<Self> {
        let lockbox = Self::at(site.folder().join(folder));
        let output = ["lockbox", "create", name, "--output", &lockbox.path];
        site.operator.run(&[&output[..], &["--release", release]].concat())?;
        Ok(lockbox)
    }

    /// Another medium with the same content.
    fn copy(&self, name: &str) -> Result<Self> {
        let copy = Self::at(self.folder.with_file_name(name));
        Answer::good(Command::new("cp").arg("-a").args([&self.path, &copy.path]))?;
        Ok(copy)
    }

    fn change(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(text.contains(from), "{file} has no {from}: {text}");
        Ok(std::fs::write(&path, text.replace(from, to))?)
    }

    fn install(&self) -> [&str; 4] {
        ["offline", "install", "--from", &self.path]
    }

    fn receipts(&self, device: &Device) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.folder.join("receipts").join(device.id()));
        folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

fn outcome(device: &Device, arguments: &[&str], expected: &str) -> Result<()> {
    let report = device.run(&[arguments, &["--json"]].concat())?;
    ensure!(report.code == 0, "{arguments:?}: {} {}", report.code, report.err);
    let report = report.json()?;
    ensure!(report["outcome"] == expected, "{arguments:?}: {report}");
    Ok(())
}

#[test]
fn a_medium_updates_a_device_without_a_network_and_carries_its_report_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 3)?;
    let device = site.device_on("v1", "remote", &DeviceOptions::default())?;
    let first = Lockbox::create(&site, "first", "spring", "v2")?;
    let lockbox = Lockbox::create(&site, "second", "spring", "v3")?;
    let shown = site.operator.json(&["lockbox", "show", &lockbox.path])?;
    let target = &shown[0]["targets"][0];
    ensure!(shown[0]["name"] == "spring" && shown[0]["version"] == 2, "{shown}");
    ensure!(target["sha256"] == site.commit("v3") && target["present"] == true, "{shown}");
    site.server.stop()?;

    refusals(&site, &device, &lockbox)?;
    outcome(&device, &["offline", "check", "--from", &lockbox.path], "available")?;
    support::unchanged(&site, &device)?;
    // What was replaced since stays replaced.
    let replaced = Refusal { code: 9, says: &["offline-updates"], hint: "nothing was installed" };
    replaced.of(&site, &device, &first.install())?;

    outcome(&device, &lockbox.install(), "reboot-required")?;
    device.boot()?;
    outcome(&device, &lockbox.install(), "confirmed")?;
    ensure!(device.booted_commit()? == site.commit("v3"), "v3 is not booted");
    outcome(&device, &lockbox.install(), "up-to-date")?;
    let receipts = lockbox.receipts(&device);
    ensure!(receipts.len() == 1, "the receipts are {receipts:?}");
    site.check_store(&device)?;

    site.server.run()?;
    let receive = ["lockbox", "receive", &lockbox.path];
    let forged = lockbox.copy("forged-receipt")?;
    let receipt = receipts[0].strip_prefix(&lockbox.folder)?;
    forged.change(&receipt.display().to_string(), site.commit("v3"), site.commit("v2"))?;
    let refused = site.operator.try_run(&["lockbox", "receive", &forged.path])?;
    ensure!(refused.code == 9, "{} {}", refused.code, refused.err);
    let received = site.operator.json(&receive)?;
    ensure!(received[0]["receipt"] == "taken", "{received}");
    let known = site.operator.device("remote")?;
    ensure!(known["components"][0]["installed"]["sha256"] == site.commit("v3"), "{known}");
    ensure!(known["last_report"]["success"] == true, "{known}");
    let id = known["last_report"]["correlation_id"].as_str().unwrap_or_default();
    ensure!(id.starts_with("urn:tdx-ota:lockbox:spring:2:"), "{known}");
    ensure!(site.operator.json(&receive)?[0]["receipt"] == "known", "it is news again");

    // With the network it goes on: nothing is taken back, and the report is not told twice.
    device.run_once()?;
    let status = device.status()?;
    ensure!(status["installed"]["sha256"] == site.commit("v3"), "{status}");
    ensure!(status["report_queued"] == false && status["reboot_required"] == false, "{status}");
    ensure!(site.operator.json(&receive)?[0]["receipt"] == "late", "it moves the state back");
    let known = site.operator.device("remote")?;
    ensure!(known["components"][0]["installed"]["sha256"] == site.commit("v3"), "{known}");
    site.assign("remote", "v2")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted");

    // The service finds the medium, and does not install again what was replaced.
    let service = |device: &Device, stop: &dyn Fn() -> Result<bool>| -> Result<()> {
        let source = format!("uptane.offline_updates_source={}", lockbox.path);
        let set = ["--set", "uptane.enable_offline_updates=true", "--set", &source];
        let log = std::fs::File::create(device.log())?;
        let mut command = device.agent(&[&["run"][..], &set].concat());
        let mut process = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let reached = wait(stop);
        support::terminate(&process)?;
        process.wait()?;
        reached.with_context(|| std::fs::read_to_string(device.log()).unwrap_or_default())
    };
    let done = |device: &Device| {
        let log = std::fs::read_to_string(device.log()).unwrap_or_default();
        Ok(log.contains("cycle done"))
    };
    service(&device, &|| done(&device))?;
    ensure!(device.status()?["reboot_required"] == false, "{}", device.status()?);
    let other = site.device_on("v1", "served", &DeviceOptions::default())?;
    service(&other, &|| Ok(other.status()?["reboot_required"] == true))?;
    other.boot()?;
    service(&other, &|| Ok(other.status()?["installed"]["sha256"] == site.commit("v3")))?;
    Ok(())
}

/// Media that a device on v1 does not take.
fn refusals(site: &Site, device: &Device, lockbox: &Lockbox) -> Result<()> {
    let nothing = Lockbox::at(site.folder().join("nothing"));
    let absent = Refusal { code: 4, says: &["metadata"], hint: "lockbox create" };
    absent.of(site, device, &nothing.install())?;
    let forgeries = [
        ("metadata/director/spring.json", "\"length\":0", "\"length\":1"),
        ("metadata/director/offline-snapshot.json", "\"version\":2}", "\"version\":9}"),
        ("metadata/image-repo/snapshot.json", "\"version\":", "\"version\":1"),
    ];
    for (number, (file, from, to)) in forgeries.into_iter().enumerate() {
        let forged = lockbox.copy(&format!("forged-{number}"))?;
        forged.change(file, from, to)?;
        let refusal = Refusal { code: 9, says: &[], hint: "nothing was installed" };
        refusal.of(site, device, &forged.install()).context(file)?;
    }
    let agent = device.agent(&lockbox.install());
    let mut later = Command::new("faketime");
    later.arg("+500 days").arg(agent.get_program()).args(agent.get_args());
    let expired = Refusal { code: 9, says: &["expired"], hint: "clock" };
    expired.fits(&Answer::of(&mut later)?)?;
    support::unchanged(site, device)?;
    let broken = lockbox.copy("broken")?;
    remove_objects(&broken.folder)?;
    let answer = device.run(&broken.install())?;
    ensure!(answer.code != 0, "a medium without objects was installed");
    support::unchanged(site, device)
}

fn remove_objects(medium: &Path) -> Result<()> {
    for folder in std::fs::read_dir(medium.join("images/ostree/objects"))? {
        std::fs::remove_dir_all(folder?.path())?;
    }
    Ok(())
}

fn wait(reached: &dyn Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..600 {
        if reached()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("it never came to that")
}
