//! A device that is killed at any point of an update stays bootable, and still comes to it.
//!
//! With `UPDRAFT_CUTS=all` it is killed at every write, without it at a sample of them;
//! `UPDRAFT_SHARE=1/8` takes every eighth of them, beginning with the first.
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Device, DeviceOptions, Share, Site, bootable};

/// Kills are this many write operations apart, in the sample of a whole update.
const STRIDE: u32 = 17;
/// So many devices share them.
const DEVICES: u32 = 2;
/// More operations than an update of a small tree has.
const TOO_MANY: u32 = 2000;

/// How far kills are apart, in write operations.
fn stride(sample: u32) -> u32 {
    if std::env::var("UPDRAFT_CUTS").is_ok_and(|cuts| cuts == "all") { 1 } else { sample }
}

#[test]
fn a_kill_at_any_write_leaves_a_bootable_device_that_goes_on() -> Result<()> {
    let share = Share::from_environment()?;
    let (first, stride) = (share.index, share.count * stride(STRIDE));
    std::thread::scope(|scope| {
        let devices: Vec<_> = (0..DEVICES)
            .map(|number| (first + number * stride, DEVICES * stride))
            .map(|(first, stride)| scope.spawn(move || update_and_kill(first, stride)))
            .collect();
        devices.into_iter().try_for_each(|device| {
            device.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Every kill lies in an update of its own: v1 → v2 → v3 → v1 …, so that each time objects are
/// fetched, a deployment is made and an old one is removed.
fn update_and_kill(first: u32, stride: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 3)?;
    let device = site.device_on("v1", "killed", &DeviceOptions::default())?;
    let mut current = 1;
    let mut operations = first;
    loop {
        let next = current % 3 + 1;
        let (from, to) = (format!("v{current}"), format!("v{next}"));
        site.assign(device.id(), &to)?;
        let killed = device.run_once_until_killed(operations)?;
        let context = || format!("killed before write {operations} of the way to {to}");
        check(&site, &device, &[&from, &to]).with_context(context)?;
        device.settle(4).with_context(context)?;
        ensure!(device.booted_commit()? == site.commit(&to), "{} is not reached", context());
        check(&site, &device, &[&to]).with_context(context)?;
        if !killed {
            break;
        }
        current = next;
        operations += stride;
        ensure!(operations < TOO_MANY, "the update never ends");
    }
    println!("{operations} write operations");
    ensure!(operations > 100, "only {operations} write operations were counted");
    let known = site.operator.device(device.id())?;
    ensure!(known["last_report"]["success"] == true, "the server heard {known}");
    Ok(())
}

/// The cycle after the reboot is short: a kill before each of its writes, and a power cut, which
/// boots once more.
#[test]
fn a_kill_at_any_write_after_the_reboot_ends_in_a_confirmed_update() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = site.device_on("v1", "killed", &DeviceOptions::default())?;
    let mut operations = 0;
    let mut release = "v2";
    loop {
        site.assign(device.id(), release)?;
        device.run_once()?;
        device.boot()?;
        let killed = device.run_once_until_killed(operations)?;
        check(&site, &device, &[release])?;
        if operations % 2 == 1 {
            device.boot()?;
        }
        device.settle(4)?;
        let installed = device.status()?["installed"]["sha256"].clone();
        ensure!(installed == site.commit(release), "{release} is not confirmed");
        ensure!(device.booted_commit()? == site.commit(release), "{release} is not booted");
        if !killed {
            break;
        }
        release = if release == "v2" { "v1" } else { "v2" };
        operations += 1;
        ensure!(operations < TOO_MANY, "the cycle never ends");
    }
    println!("{operations} write operations after the reboot");
    ensure!(operations > 3, "only {operations} write operations were counted");
    Ok(())
}

/// An ill system is left again, wherever the device is killed on its way back.
#[test]
fn a_kill_at_any_write_of_the_way_back_ends_on_the_old_system() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let options = DeviceOptions { fails_on: Some("v2".to_owned()), ..DeviceOptions::default() };
    let device = site.device_on("v1", "ill", &options)?;
    let mut operations = 0;
    loop {
        site.assign(device.id(), "v2")?;
        device.run_once()?;
        device.boot()?;
        ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not tried");
        let killed = device.run_once_until_killed(operations)?;
        check(&site, &device, &["v1", "v2"])?;
        come_back(&device)?;
        ensure!(device.booted_commit()? == site.commit("v1"), "the device is not back on v1");
        check(&site, &device, &["v1"])?;
        let status = device.status()?;
        ensure!(status["installed"]["sha256"] == site.commit("v1"), "confirmed is {status}");
        let known = site.operator.device(device.id())?;
        ensure!(known["last_report"]["success"] == false, "the server heard {known}");
        if !killed {
            break;
        }
        operations += stride(5);
        ensure!(operations < TOO_MANY, "the cycle never ends");
    }
    println!("{operations} write operations on the way back");
    Ok(())
}

/// Cycles, which may end with the failure of the update, and reboots.
fn come_back(device: &Device) -> Result<()> {
    for _ in 0..4 {
        let answer = device.run(&["run-once"])?;
        ensure!(answer.code == 0 || answer.code == 9, "{}: {}", answer.code, answer.err);
        if device.status()?["reboot_required"] == true {
            device.boot()?;
        } else if device.status()?["report_queued"] == false {
            return Ok(());
        }
    }
    anyhow::bail!("{} does not come to rest", device.id())
}

/// Killed at each write, and by the clock, in its first cycles: it is one device to the server.
#[test]
fn a_device_killed_while_it_is_provisioned_is_one_device() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("newborn", &DeviceOptions::default())?;
    let mut operations = 0;
    while device.run_once_until_killed(operations)? {
        device.check_state()?;
        operations += 1;
        ensure!(operations < TOO_MANY, "it is never provisioned");
    }
    ensure!(operations > 3, "only {operations} write operations were counted");
    let second = site.device("by-the-clock", &DeviceOptions::default())?;
    for round in 0..30 {
        let mut agent = second.start()?;
        std::thread::sleep(Duration::from_millis(5 + round * 15));
        agent.kill()?;
        agent.wait()?;
        second.check_state()?;
    }
    second.run_once()?;
    for device in [&device, &second] {
        ensure!(device.status()?["provisioned"] == true, "{} is not provisioned", device.id());
    }
    let listed = site.operator.json(&["device", "ls"])?;
    let ids: Vec<_> = listed.as_array().context("a list")?.iter().map(|one| &one["id"]).collect();
    ensure!(ids.len() == 2, "the server knows {ids:?}");
    site.assign("newborn", "v1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not reached");
    Ok(())
}

/// The store is whole, and what boots next is one of `releases`.
fn check(site: &Site, device: &Device, releases: &[&str]) -> Result<()> {
    site.check_store(device)?;
    let offered = bootable(&device.sysroot())?;
    let default = offered.first().context("find a default")?.display().to_string();
    let is_expected = releases.iter().any(|release| default.contains(site.commit(release)));
    ensure!(is_expected, "{default} boots next, expected one of {releases:?}");
    Ok(())
}
