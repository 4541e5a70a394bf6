//! What goes wrong around an agent gets a name, a documented exit code and a way out; nothing is
//! installed, and what is stored stays whole.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Refusal;
use anyhow::{Context, Result, ensure};
use harness::{Answer, Device, DeviceOptions, ObjectChange, Server, Site};

const INVALID: i32 = 3;
const NOT_FOUND: i32 = 4;
const CONFLICT: i32 = 5;
const EXHAUSTED: i32 = 7;
const UNAVAILABLE: i32 = 8;
const REJECTED: i32 = 9;

fn on_v1(site: &Site, id: &str) -> Result<Device> {
    let device = site.device_on("v1", id, &DeviceOptions::default())?;
    site.assign(id, "v2")?;
    Ok(device)
}

#[test]
fn a_server_that_is_away_or_another_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 2)?;
    let device = on_v1(&site, "lonely")?;

    let other = Server::start(site.programs(), &folder.path().join("other"))?;
    let elsewhere = ["--tls-server", &other.url(), "run-once"];
    let refusal = Refusal { code: REJECTED, says: &["certificate"], hint: "CA" };
    refusal.of(&site, &device, &elsewhere)?;
    // A device that was never provisioned does not even give away its name.
    let newborn = site.device("newborn", &DeviceOptions::default())?;
    refusal.of_new(&site, &newborn, &elsewhere)?;
    ensure!(newborn.status()?["provisioned"] == false, "the other server provisioned it");

    site.server.stop()?;
    let refusal = Refusal { code: UNAVAILABLE, says: &["Connection refused"], hint: "network" };
    refusal.of(&site, &device, &["run-once"])?;
    refusal.of_new(&site, &newborn, &["run-once"])?;
    let contact = device.status()?["contact"].clone();
    let problem = contact["problem"].as_str().context("status names no problem")?;
    ensure!(problem.contains("server"), "status says {problem}");
    ensure!(contact["reached_at"].is_string(), "status forgot the last contact: {contact}");

    site.server.run()?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "it did not go on");
    newborn.run_once()?;
    Ok(())
}

#[test]
fn a_server_that_lies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let (attacker, device) = site.device_behind_attacker("deceived")?;
    device.run_once()?;
    site.assign("deceived", "v1")?;
    device.settle(4)?;
    site.assign("deceived", "v2")?;

    let rejected = |says, hint| Refusal { code: REJECTED, says, hint };
    attacker.change_objects(ObjectChange::Flip);
    rejected(&["Corrupted"], "server").of(&site, &device, &["run-once"])?;
    attacker.relent();
    attacker.change_objects(ObjectChange::Truncate);
    let broken = Refusal { code: UNAVAILABLE, says: &["fetch"], hint: "network" };
    broken.of(&site, &device, &["run-once"])?;
    attacker.relent();

    // Targets and snapshots are asked for only when the timestamp names another version.
    let files = ["/director/timestamp.json", "/repo/timestamp.json", "/director/2.root.json"];
    for path in files {
        attacker.never_end(path);
        rejected(&["endless"], "nothing was installed")
            .of(&site, &device, &["check"])
            .with_context(|| path.to_owned())?;
        attacker.relent();
        attacker.replace(path, b"<html>Sign in to the hotel's network</html>".to_vec());
        rejected(&["malformed"], "nothing was installed")
            .of(&site, &device, &["check"])
            .with_context(|| path.to_owned())?;
        attacker.relent();
        if path.contains("timestamp") {
            attacker.flip(path);
            let answer = device.run(&["check"])?;
            ensure!(answer.code == REJECTED, "{path}: {} {}", answer.code, answer.err);
            attacker.relent();
        }
    }
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "it did not go on");
    Ok(())
}

#[test]
fn a_clock_that_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = on_v1(&site, "timeless")?;
    let (attacker, plain) = site.device_behind_attacker("plain")?;
    plain.run_once()?;
    let at = |device: &Device, time: &str, arguments: &[&str]| {
        let agent = device.agent(arguments);
        let mut command = Command::new("faketime");
        command.arg(time).arg(agent.get_program()).args(agent.get_args()).env("NO_COLOR", "1");
        Answer::of(&mut command)
    };
    let refusal = Refusal { code: UNAVAILABLE, says: &["clock", "1970"], hint: "set the clock" };
    refusal.fits(&at(&device, "1970-01-02 00:00:00", &["run-once"])?)?;
    support::unchanged(&site, &device)?;

    // Over TLS the certificate is out of date first; without it, the metadata is.
    let refusal = Refusal { code: REJECTED, says: &["certificate"], hint: "clock" };
    refusal.fits(&at(&device, "2125-01-01 00:00:00", &["run-once"])?)?;
    support::unchanged(&site, &device)?;
    let refusal = Refusal { code: REJECTED, says: &["expired"], hint: "clock" };
    refusal.fits(&at(&plain, "2125-01-01 00:00:00", &["check"])?)?;
    drop(attacker);

    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "it did not go on");
    Ok(())
}

/// A file system of its own below a device's folder.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path, size: &str) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let options = format!("size={size},mode=755");
        let mut mount = Command::new("mount");
        Answer::good(mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path))?;
        Ok(Self(path.to_owned()))
    }

    fn remount(&self, options: &str) -> Result<()> {
        let options = format!("remount,{options}");
        Answer::good(Command::new("mount").args(["-o", &options]).arg(&self.0))?;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_or_read_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = site.device("cramped", &DeviceOptions::default())?;
    let disk = Mounted::new(&device.sysroot(), "16m")?;
    device.run_once()?;
    site.assign("cramped", "v1")?;
    device.settle(4)?;
    site.assign("cramped", "v2")?;

    let ballast = device.sysroot().join("ballast");
    for left in [0_usize, 8, 32, 64, 128] {
        // Fill the disk, then give a little of it back.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k", "status=none"])
            .arg(format!("of={}", ballast.display()))
            .output()?;
        let length = ballast.metadata()?.len();
        let file = std::fs::File::options().write(true).open(&ballast)?;
        file.set_len(length.saturating_sub(left as u64 * 1024))?;
        let answer = device.run(&["run-once"])?;
        if answer.code == 0 {
            ensure!(left > 0, "a full disk was enough");
            break;
        }
        let refusal = Refusal { code: EXHAUSTED, says: &["space"], hint: "free some space" };
        refusal.fits(&answer).with_context(|| format!("{left} KiB left"))?;
        support::unchanged(&site, &device)?;
        std::fs::remove_file(&ballast)?;
    }
    let _ = std::fs::remove_file(&ballast);
    if device.status()?["reboot_required"] == true {
        device.boot()?;
    }
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "it did not go on");

    site.assign("cramped", "v1")?;
    disk.remount("ro")?;
    let refusal = Refusal { code: CONFLICT, says: &["Read-only"], hint: "writable" };
    refusal.fits(&device.run(&["run-once"])?)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "something else was booted");
    disk.remount("rw")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "it did not go on");
    Ok(())
}

#[test]
fn a_sysroot_that_is_missing_or_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("rootless", &DeviceOptions::default())?;
    let text = std::fs::read_to_string(device.configuration_file())?;
    let text = text.replace("create_sysroot = true\n", "");
    std::fs::write(device.configuration_file(), text)?;
    let refusal = Refusal { code: NOT_FOUND, says: &["sysroot"], hint: "ostree admin init-fs" };
    refusal.of_new(&site, &device, &["run-once"])?;
    std::fs::create_dir_all(device.sysroot().join("usr/bin"))?;
    refusal.of_new(&site, &device, &["run-once"])?;

    // What the hint says is the way out.
    let sysroot = device.sysroot().display().to_string();
    harness::ostree(&["admin", "init-fs", "--modern", &sysroot])?;
    let refusal = Refusal { code: NOT_FOUND, says: &["stateroot os"], hint: "os-init" };
    refusal.of_new(&site, &device, &["run-once"])?;
    harness::ostree(&["admin", "os-init", &format!("--sysroot={sysroot}"), "os"])?;
    device.run_once()?;
    site.assign("rootless", "v1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not reached");
    Ok(())
}

#[test]
fn a_database_that_is_damaged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = on_v1(&site, "amnesic")?;
    let database = device.database();
    for name in ["updraft.db-wal", "updraft.db-shm"] {
        let _ = std::fs::remove_file(database.with_file_name(name));
    }
    let whole = std::fs::read(&database)?;
    let refusal = Refusal { code: INVALID, says: &["updraft.db"], hint: "damaged database" };
    for damaged in [b"not a database at all, whatever it is".repeat(200), {
        let mut bytes = whole.clone();
        bytes.truncate(whole.len() / 2);
        for byte in bytes.iter_mut().skip(4096).step_by(64) {
            *byte ^= 0xff;
        }
        bytes
    }] {
        std::fs::write(&database, damaged)?;
        refusal.fits(&device.run(&["run-once"])?)?;
        refusal.fits(&device.run(&["status"])?)?;
        ensure!(device.booted_commit()? == site.commit("v1"), "something else was booted");
    }
    // The way out: without the database the device registers anew; its old name is taken.
    std::fs::remove_file(&database)?;
    let taken = Refusal { code: CONFLICT, says: &["already"], hint: "updraft device rm" };
    taken.fits(&device.run(&["run-once"])?)?;
    site.operator.run(&["device", "rm", "amnesic"])?;
    device.run_once()?;
    ensure!(device.status()?["provisioned"] == true, "it did not register anew");
    site.assign("amnesic", "v2")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not reached");
    Ok(())
}

#[test]
fn a_device_id_that_is_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    site.device("twin", &DeviceOptions::default())?.run_once()?;
    let elsewhere = folder.path().join("elsewhere");
    let options = DeviceOptions::default();
    let second = Device::create(
        site.programs(),
        &elsewhere,
        "twin",
        harness::HARDWARE,
        &site.credentials,
        &options,
    )?;
    let refusal = Refusal { code: CONFLICT, says: &["twin"], hint: "provision.device_id" };
    refusal.of_new(&site, &second, &["run-once"])?;
    let other = ["--set", "provision.device_id=other", "--primary-ecu-serial", "other-ecu"];
    let answer = second.run(&[&other[..], &["run-once"]].concat())?;
    ensure!(answer.code == 0, "another name did not help: {}", answer.err);
    Ok(())
}

#[test]
fn a_device_that_was_removed_on_the_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device_on("v1", "removed", &DeviceOptions::default())?;
    site.operator.run(&["device", "rm", "removed"])?;
    let refusal = Refusal { code: REJECTED, says: &["HTTP 403"], hint: "provision --again" };
    refusal.of(&site, &device, &["run-once"])?;
    std::fs::remove_dir_all(device.database().parent().context("a folder")?)?;
    device.run_once()?;
    ensure!(device.status()?["provisioned"] == true, "it did not register anew");
    Ok(())
}

#[test]
fn a_second_agent_with_the_same_storage() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("shared", &DeviceOptions::default())?;
    device.run_once()?;
    let mut first = device.start()?;
    let refusal = Refusal { code: CONFLICT, says: &["another updraftd"], hint: "systemctl stop" };
    support::wait_for(&device.log(), "cycle done")?;
    let answer = device.run(&["check"])?;
    let status = device.status();
    support::terminate(&first)?;
    let ended = first.wait()?;
    refusal.fits(&answer)?;
    ensure!(status?["provisioned"] == true, "status cannot be asked beside a service");
    ensure!(ended.success(), "the service ended with {ended}");
    device.run_once()?;
    Ok(())
}
