//! A device's judgement of what it runs: scripts, counted tries, fallback, and the way back.
//!
//! With `UPDRAFT_CUTS=all` it is killed at every write, without it at a sample of them.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use crate::support;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::{Device, DeviceOptions, Site, entry_names};

/// A folder of scripts for a device, which knows no other.
struct Scripts(PathBuf);

impl Scripts {
    fn of(device: &Device) -> Result<Self> {
        let drop_ins = device.configuration_file().with_extension("d");
        let folder = drop_ins.with_file_name("health");
        std::fs::create_dir_all(&drop_ins)?;
        let text = format!("[health]\nfolders = [\"{}\"]\n", folder.display());
        std::fs::write(drop_ins.join("10-folders.toml"), text)?;
        Ok(Self(folder))
    }

    fn add(&self, path: &str, text: &str) -> Result<()> {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().context("find the folder of a script")?)?;
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// How often a script left its mark.
    fn marks(&self, name: &str) -> usize {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default().lines().count()
    }
}

/// Lets the boot loader try new systems so often.
fn count_tries(device: &Device, tries: u32) -> Result<()> {
    let path = device.sysroot().join("ostree/repo/config");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("{text}\n[sysroot]\nboot-counting-tries={tries}\n"))?;
    Ok(())
}

/// What the server heard last.
fn heard(site: &Site, device: &Device) -> Result<(bool, String, String)> {
    let report = site.operator.device(device.id())?["last_report"].clone();
    let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
    Ok((report["success"] == true, text("code"), text("description")))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

#[test]
fn scripts_in_the_folders_of_greenboot_decide() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 3)?;
    let device = site.device_on("v1", "scripted", &DeviceOptions::default())?;
    let scripts = Scripts::of(&device)?;
    let marks = |name: &str| format!("echo x >> {}/{name}", scripts.0.display());
    scripts.add("check/required.d/10-first.sh", "exit 0")?;
    scripts.add("check/wanted.d/10-nice.sh", "echo it would be nice >&2; exit 1")?;
    scripts.add("green.d/10.sh", &marks("green"))?;
    scripts.add("red.d/10.sh", &marks("red"))?;
    let healthy = device.run(&["health", "--json"])?;
    ensure!(healthy.code == 0, "{} {}", healthy.code, healthy.err);
    let report = healthy.json()?;
    ensure!(report["healthy"] == true, "{report}");
    let names: Vec<_> = report["checks"].as_array().context("find the checks")?.iter().collect();
    ensure!(names.len() == 3, "the command of the settings and two scripts: {report}");
    ensure!(names[2]["passed"] == false && names[2]["required"] == false, "{report}");

    site.assign(device.id(), "v2")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted");
    ensure!((scripts.marks("green"), scripts.marks("red")) == (1, 0), "other scripts were run");

    scripts.add("check/required.d/20-second.sh", "echo the radio is mute >&2; exit 1")?;
    let ill = device.run(&["health"])?;
    ensure!(ill.code == 9 && ill.out.contains("the radio is mute"), "{} {}", ill.code, ill.out);
    site.assign(device.id(), "v3")?;
    device.run_once()?;
    device.boot()?;
    let back = device.run(&["run-once", "--json"])?;
    ensure!(back.json()?["reboot_required"] == true, "{} {}", back.out, back.err);
    ensure!(scripts.marks("red") == 1, "the scripts for an ill system did not run");
    device.boot()?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted again");
    let failed = device.run(&["run-once"])?;
    ensure!(failed.code == 9 && failed.err.contains("20-second.sh"), "{}", failed.err);
    let (success, code, text) = heard(&site, &device)?;
    ensure!(!success && code.ends_with("HEALTH_CHECK_FAILED"), "{code}: {text}");
    ensure!(text.contains("the radio is mute"), "{text}");
    site.check_store(&device)
}

#[test]
fn a_system_whose_tries_are_counted_is_tried_until_none_is_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 3)?;
    let device = site.device_on("v1", "counted", &DeviceOptions::default())?;
    count_tries(&device, 2)?;
    let scripts = Scripts::of(&device)?;
    // It comes to itself with the second boot.
    let tried = scripts.0.join("tried");
    let once = format!("test -e {0} || {{ touch {0}; exit 1; }}", tried.display());
    scripts.add("check/required.d/slow.sh", &once)?;
    site.assign(device.id(), "v2")?;
    device.settle(5)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted");
    let names = entry_names(&device.sysroot())?;
    ensure!(names.iter().all(|name| !name.contains('+')), "it is still counted: {names:?}");
    ensure!(heard(&site, &device)?.0, "the server did not hear of the success");

    // It never comes to itself.
    scripts.add("check/required.d/slow.sh", "echo x >> $(dirname $0)/../../checked; exit 1")?;
    site.assign(device.id(), "v3")?;
    device.run_once()?;
    for left in ["+1-1", "+0-2"] {
        device.boot()?;
        ensure!(device.booted_commit()? == site.commit("v3"), "v3 is not tried");
        let names = entry_names(&device.sysroot())?;
        ensure!(names[0].contains(left), "{names:?}");
        let count = device.status()?["boot_count"].clone();
        let number = u32::from(left == "+1-1");
        ensure!(count["by"] == "entries" && count["tries_left"] == number, "{count}");
        let asked = device.run(&["run-once", "--json"])?;
        ensure!(asked.json()?["reboot_required"] == true, "{} {}", asked.out, asked.err);
    }
    ensure!(scripts.marks("checked") == 2, "another number of tries");
    device.boot()?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted again");
    device.run(&["run-once"])?;
    let (success, code, text) = heard(&site, &device)?;
    ensure!(!success && code.ends_with("HEALTH_CHECK_FAILED"), "{code}: {text}");
    site.check_store(&device)
}

#[test]
fn a_system_that_does_not_come_up_is_told_from_one_that_is_ill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    for (id, note, words) in [
        ("hung", None, "it did not come up in 2 tries"),
        ("given-up", Some("initramfs"), "its initramfs could not start it"),
        ("torn", Some("root is corrupt\n"), "it was given up: root is corrupt"),
    ] {
        let device = site.device_on("v1", id, &DeviceOptions::default())?;
        count_tries(&device, 2)?;
        site.assign(id, "v2")?;
        device.run_once()?;
        // Two boots of which nothing is heard, and a third, in which the boot loader gives up.
        for _ in 0..3 {
            device.boot()?;
        }
        ensure!(device.booted_commit()? == site.commit("v1"), "it did not fall back");
        let mut arguments = vec!["run-once".to_owned()];
        if let Some(reason) = note {
            let path = device.configuration_file().with_file_name("note.json");
            let failed = "ostree=/ostree/boot.9/os/gone/0";
            write(&path, &serde_json::json!({ "failed": failed, "reason": reason }).to_string())?;
            arguments.push(format!("--set=boot.fallback_note={}", path.display()));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let failed = device.run(&arguments)?;
        ensure!(failed.code == 9 && failed.err.contains(words), "{id}: {}", failed.err);
        let (success, code, text) = heard(&site, &device)?;
        ensure!(!success && code.ends_with("BOOT_FAILED"), "{id}: {code}: {text}");
        ensure!(text.contains(words), "{id}: {text}");
        support::unchanged(&site, &device)?;
    }
    Ok(())
}

#[test]
fn a_rollback_is_shown_before_it_is_done_and_is_not_undone_by_the_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = site.device_on("v1", "returning", &DeviceOptions::default())?;
    let nowhere = device.run(&["rollback", "--dry-run"])?;
    ensure!(nowhere.code == 5, "there is nothing to go back to: {} {}", nowhere.code, nowhere.out);
    site.assign(device.id(), "v2")?;
    device.settle(4)?;
    let shown = device.run(&["rollback", "--dry-run", "--json"])?.json()?;
    let plan = shown["plan"].to_string();
    ensure!(shown["done"] == false && shown["reboot_required"] == true, "{shown}");
    ensure!(plan.contains(site.commit("v1")) && plan.contains("(v1)"), "{plan}");
    ensure!(plan.contains("do not install v2"), "{plan}");
    device.boot()?;
    ensure!(device.booted_commit()? == site.commit("v2"), "a plan changed something");

    let done = device.run(&["rollback", "--json"])?;
    ensure!(done.code == 0 && done.json()?["done"] == true, "{} {}", done.out, done.err);
    device.boot()?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted");
    let again = device.run(&["run-once", "--json"])?.json()?;
    ensure!(again["outcome"] == "failed-before" || again["outcome"] == "up-to-date", "{again}");
    device.boot()?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v2 came again");
    let (success, code, _) = heard(&site, &device)?;
    ensure!(!success && code.ends_with("ROLLED_BACK"), "the server heard {code}");
    site.check_store(&device)
}

#[test]
fn a_system_that_was_deployed_by_hand_is_judged_as_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device_on("v1", "manual", &DeviceOptions::default())?;
    let marked = device.run(&["boot-good", "--json"])?.json()?;
    ensure!(marked["was_counted"] == false && marked["counting"] == "entries", "{marked}");
    // Somebody put it on trial.
    let entries = device.sysroot().join("boot/loader/entries");
    let name = entry_names(&device.sysroot())?.remove(0);
    let counted = |count: &str| entries.join(name.replace(".conf", &format!("{count}.conf")));
    std::fs::rename(entries.join(&name), counted("+2-1"))?;
    device.run_once()?;
    ensure!(entries.join(&name).exists(), "the agent did not mark it good");
    std::fs::rename(entries.join(&name), counted("+2-1"))?;
    let marked = device.run(&["boot-good", "--json"])?.json()?;
    ensure!(marked["was_counted"] == true && entries.join(&name).exists(), "{marked}");
    Ok(())
}

/// With each boot of an ill system, killed at any write: it is tried as often as it may be and no
/// more, and then the device is back.
#[test]
fn a_kill_at_any_write_of_a_counted_trial_ends_on_the_old_system() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let options = DeviceOptions { fails_on: Some("v2".to_owned()), ..DeviceOptions::default() };
    let device = site.device_on("v1", "ill", &options)?;
    count_tries(&device, 2)?;
    let every = std::env::var("UPDRAFT_CUTS").is_ok_and(|cuts| cuts == "all");
    for boots in [1, 2] {
        let mut operations = 0;
        loop {
            site.assign(device.id(), "v2")?;
            device.run_once()?;
            for boot in 1..=boots {
                device.boot()?;
                ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not tried");
                if boot < boots {
                    device.run_once()?;
                }
            }
            let killed = device.run_once_until_killed(operations)?;
            site.check_store(&device)?;
            come_back(&device).with_context(|| format!("boot {boots}, write {operations}"))?;
            support::unchanged(&site, &device)?;
            let (success, code, text) = heard(&site, &device)?;
            ensure!(!success && code.ends_with("HEALTH_CHECK_FAILED"), "{code}: {text}");
            if !killed {
                break;
            }
            operations += if every { 1 } else { 7 };
            ensure!(operations < 2000, "the cycle never ends");
        }
        ensure!(operations > 4, "only {operations} operations were tried");
    }
    Ok(())
}

/// Cycles, which may end with the failure of the update, and reboots.
fn come_back(device: &Device) -> Result<()> {
    for _ in 0..6 {
        let answer = device.run(&["run-once"])?;
        ensure!(answer.code == 0 || answer.code == 9, "{}: {}", answer.code, answer.err);
        let status = device.status()?;
        if status["reboot_required"] == true {
            device.boot()?;
        } else if status["report_queued"] == false {
            return Ok(());
        }
    }
    anyhow::bail!("{} does not come to rest", device.id())
}
