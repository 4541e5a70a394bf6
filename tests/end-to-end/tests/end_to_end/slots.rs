//! Payloads for slots, from their making to the report that they run: released beside commits, streamed
//! from the server, cut off by kills, tried, kept, and fallen back from.
#![allow(clippy::disallowed_methods, reason = "a test writes files")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{Answer, DeviceOptions, HARDWARE, ILL, SLOT_TRIES, Site, SlotDevice};
use serde_json::Value;

pub(crate) const SLOT_HARDWARE: &str = "slot-board";
const MIB: usize = 1 << 20;
const SIZE: usize = 6 * MIB;
/// So many write operations are between two kills.
const STRIDE: u32 = 3;
const TOO_MANY: u32 = 1000;

/// A site whose releases have payloads.
pub(crate) struct World {
    pub(crate) site: Site,
    folder: PathBuf,
}

impl World {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let site = Site::start(folder, 1)?;
        let world = Self { site, folder: folder.join("payloads") };
        std::fs::create_dir_all(&world.folder)?;
        let make = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"];
        world.openssl(&make)?;
        world.openssl(&["ec", "-in", "key", "-pubout", "-out", "key.pub"])?;
        // What the images have in common does not become smaller.
        let mut state = 7_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let base: Vec<u8> = std::iter::repeat_with(&mut noise).take(SIZE).collect();
        for (name, word) in [("v1", "one"), ("v2", "two"), ("v3", ILL), ("v4", "four")] {
            let mut image = base.clone();
            for at in [0, 2 * MIB + 77, 5 * MIB] {
                image[at..at + word.len()].copy_from_slice(word.as_bytes());
            }
            std::fs::write(world.image(name), image)?;
        }
        Ok(world)
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        Answer::good(Command::new("openssl").current_dir(&self.folder).args(arguments))?;
        Ok(())
    }

    fn image(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.img"))
    }

    fn text(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Makes a payload with this name; a delta where `old` is given.
    pub(crate) fn payload(&self, name: &str, new: &str, old: Option<&str>) -> Result<String> {
        let output = self.text(name);
        let (key, new) = (self.text("key"), format!("system={}", self.image(new).display()));
        let mut arguments = vec!["payload", "generate", &output, "--key", &key, "--image", &new];
        let old = old.map(|old| format!("system={}", self.image(old).display()));
        arguments.extend(old.iter().flat_map(|old| ["--old", old.as_str()]));
        self.site.operator.run(&arguments)?;
        Ok(output)
    }

    pub(crate) fn release(&self, name: &str, more: &[&str]) -> Result<Value> {
        self.site.operator.json(&[&["release", "create", name][..], more].concat())
    }

    pub(crate) fn device(&self, id: &str) -> Result<SlotDevice> {
        let folder = self.site.folder().join("devices");
        let (programs, credentials) = (self.site.programs(), self.site.credentials());
        let key = self.folder.join("key.pub");
        let named = (id, SLOT_HARDWARE);
        SlotDevice::create(programs, &folder, named, credentials, (&key, SIZE))
    }

    pub(crate) fn holds(&self, device: &SlotDevice, slot: char, image: &str) -> Result<bool> {
        Ok(std::fs::read(device.slot(slot))? == std::fs::read(self.image(image))?)
    }
}

/// What the server knows of a slot.
fn known(device: &Value, slot: usize) -> &Value {
    &device["slots"]["slots"][slot]
}

#[test]
fn one_rollout_brings_commits_to_some_and_payloads_to_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let operator = &world.site.operator;
    let with_commits = world.site.device("commits", &DeviceOptions::default())?;
    let with_slots = world.device("slots")?;
    with_commits.run_once()?;
    with_slots.device.run_once()?;
    let fresh = operator.device("slots")?;
    ensure!(fresh["slots"]["running"] == "a" && known(&fresh, 0)["successful"] == true, "{fresh}");
    ensure!(
        known(&fresh, 1)["bootable"] == false && known(&fresh, 1)["holds"].is_null(),
        "{fresh}"
    );

    // The payload is in an OTA package, and so not at the file's beginning.
    let full = world.payload("full-1.bin", "v1", None)?;
    let package = world.text("ota.zip");
    let (key, certificate) = (world.text("key"), world.text("certificate"));
    world.openssl(&[
        "req",
        "-new",
        "-x509",
        "-key",
        "key",
        "-subj",
        "/CN=t",
        "-out",
        "certificate",
    ])?;
    let zip = ["ota", "zip", &full, &package, "--device", "board", "--key", &key];
    operator.run(&[&zip[..], &["--certificate", &certificate]].concat())?;
    let repo = world.site.folder().join("repo").display().to_string();
    let (commit, payload) = (format!("{HARDWARE}=demo/v1"), format!("{SLOT_HARDWARE}={package}"));
    let mixed = ["--repo", &repo, "--target", &commit, "--payload", &payload];
    let released = world.release("mixed", &mixed)?;
    let described = &released["payloads"][0];
    ensure!(described["target"] == "mixed-slot-board", "{released}");
    ensure!(described["partitions"][0]["size"] == SIZE, "{released}");
    ensure!(described["size"] == std::fs::metadata(&full)?.len(), "{released}");

    operator.run(&["rollout", "create", "both", "--release", "mixed"])?;
    for _ in 0..40 {
        with_commits.settle(4)?;
        with_slots.settle(4)?;
        if operator.rollout("both")?["rollout"]["state"] == "finished" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let rollout = operator.rollout("both")?;
    ensure!(rollout["rollout"]["state"] == "finished", "{rollout}");
    ensure!(with_commits.booted_commit()? == world.site.commit("v1"), "the commit is not booted");
    ensure!(with_slots.running()? == 'b' && world.holds(&with_slots, 'b', "v1")?, "b is not v1");
    let known_now = operator.device("slots")?;
    ensure!(known_now["components"][0]["installed"]["release"] == "mixed", "{known_now}");
    ensure!(known_now["slots"]["running"] == "b", "{known_now}");
    let held = &known(&known_now, 1)["holds"]["filepath"];
    ensure!(
        held == "mixed-slot-board" && known(&known_now, 1)["successful"] == true,
        "{known_now}"
    );
    let said = with_slots.device.run(&["status"])?.out;
    ensure!(said.contains("slot b      mixed-slot-board, runs, started next"), "{said}");

    // Where keys are elsewhere, the file is sent when the targets are signed.
    let next = world.payload("full-2.bin", "v2", None)?;
    let (request, payload) = (world.text("request"), format!("{SLOT_HARDWARE}={next}"));
    operator.run(&[
        "release",
        "create",
        "later",
        "--payload",
        &payload,
        "--sign-request",
        &request,
    ])?;
    operator.run(&["release", "import", &request, "--file", &next])?;
    world.site.assign("slots", "later")?;
    with_slots.settle(4)?;
    ensure!(with_slots.running()? == 'a' && world.holds(&with_slots, 'a', "v2")?, "a is not v2");
    refused(&world, &full, &next)
}

/// What some devices could not use, or what makes something else, is not released.
fn refused(world: &World, first: &str, second: &str) -> Result<()> {
    let delta = world.payload("delta-2.bin", "v2", Some("v1"))?;
    let of = |path: &str| format!("{SLOT_HARDWARE}={path}");
    let (first, second, delta) = (of(first), of(second), of(&delta));
    let refuse = |more: &[&str], says: &str| {
        let all = [&["release", "create", "bad"][..], more].concat();
        let answer = world.site.operator.try_run(&all)?;
        ensure!(answer.code != 0 && answer.err.contains(says), "{more:?}: {}", answer.err);
        anyhow::Ok(())
    };
    refuse(&["--payload", &delta], "is a delta, which not every device can use")?;
    refuse(&["--payload", &second, "--delta", &first], "it is a full payload")?;
    refuse(&["--payload", &first, "--delta", &delta], "it makes something else")?;
    refuse(&["--payload", &second, "--delta", "other=x"], "there is a delta for `other`")?;
    refuse(&["--payload", &second, "--payload", &first], "is given twice")?;
    refuse(&[], "required")
}

#[test]
fn a_payload_is_streamed_through_kills_and_one_that_is_ill_is_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let (site, operator) = (&world.site, &world.site.operator);
    for (name, old) in [("v1", None), ("v2", Some("v1")), ("v3", Some("v2")), ("v4", None)] {
        let full = world.payload(&format!("{name}.full"), name, None)?;
        let payload = format!("{SLOT_HARDWARE}={full}");
        let mut more = vec!["--payload", &payload];
        let delta = old.map(|old| world.payload(&format!("{name}.delta"), name, Some(old)));
        let delta = delta.transpose()?.map(|delta| format!("{SLOT_HARDWARE}={delta}"));
        more.extend(delta.iter().flat_map(|delta| ["--delta", delta.as_str()]));
        let released = world.release(&format!("p{name}"), &more)?;
        let described = &released["payloads"][0];
        if delta.is_some() {
            let [size, whole] =
                [&described["deltas"][0]["size"], &described["size"]].map(Value::as_u64);
            ensure!(size.context("a size")? < whole.context("a size")? / 10, "{released}");
        }
    }
    let device = world.device("slots")?;
    device.device.run_once()?;

    // Killed at every third write on the way to v1, each time further; then nothing is left to do.
    site.assign("slots", "pv1")?;
    let mut operations = 0;
    loop {
        let killed = device.device.run_once_until_killed(operations)?;
        ensure!(device.running()? == 'a', "nobody rebooted");
        if !killed {
            break;
        }
        // The power is cut: whatever the boot loader takes, it is whole.
        if device.boot()? == 'b' {
            ensure!(world.holds(&device, 'b', "v1")?, "a slot is started that is not whole");
            break;
        }
        operations += STRIDE;
        ensure!(operations < TOO_MANY, "the update never ends");
    }
    // What was done before a kill is not done again, so that they are few.
    ensure!(operations > 4 * STRIDE, "only {operations} write operations were counted");
    device.settle(4)?;
    ensure!(device.running()? == 'b' && world.holds(&device, 'b', "v1")?, "b is not v1");
    ensure!(operator.device("slots")?["last_report"]["success"] == true, "v1 is not reported");

    // What runs is what the delta was made from: that is read, and not the whole.
    site.assign("slots", "pv2")?;
    device.device.run_once()?;
    let slots = device.updraft_slots(site.programs(), &["status"])?;
    let origin = slots["update"]["origin"].as_str().unwrap_or_default();
    ensure!(origin.starts_with("pv2-slot-board-delta-"), "{slots}");
    ensure!(device.boot()? == 'a', "the new slot is tried");
    device.settle(2)?;
    ensure!(device.running()? == 'a' && world.holds(&device, 'a', "v2")?, "a is not v2");
    ensure!(operator.device("slots")?["last_report"]["success"] == true, "v2 is not reported");

    // Ill: tried as often as it may, left, and reported.
    site.assign("slots", "pv3")?;
    device.device.run_once()?;
    for _ in 0..SLOT_TRIES {
        ensure!(device.boot()? == 'b', "it is tried");
        let said = device.device.run(&["run-once"])?;
        ensure!(device.device.status()?["reboot_required"] == true, "{}", said.err);
    }
    ensure!(device.boot()? == 'a', "it is left");
    device.settle(2)?;
    let known_now = operator.device("slots")?;
    ensure!(known_now["last_report"]["success"] == false, "{known_now}");
    ensure!(known_now["last_report"]["code"] == "slot-board:HEALTH_CHECK_FAILED", "{known_now}");
    ensure!(known_now["components"][0]["installed"]["release"] == "pv2", "{known_now}");
    device.device.run_once()?;
    let known_now = operator.device("slots")?;
    ensure!(
        known(&known_now, 1)["bootable"] == false && known(&known_now, 1)["holds"].is_null(),
        "{known_now}"
    );

    // One that never comes up is left by the boot loader.
    site.assign("slots", "pv4")?;
    device.device.run_once()?;
    for _ in 0..SLOT_TRIES {
        ensure!(device.boot()? == 'b', "it is tried");
    }
    ensure!(device.boot()? == 'a', "it is left");
    device.settle(2)?;
    let report = operator.device("slots")?["last_report"].clone();
    ensure!(report["code"] == "slot-board:BOOT_FAILED", "{report}");
    let told = report["description"].as_str().unwrap_or_default();
    ensure!(told.contains("slot b was started and given up"), "{report}");
    Ok(())
}
