//! `updraftd rollback` while an update of the slots waits for its reboot: one of the server, and one that
//! somebody applied by hand.
#![allow(clippy::disallowed_methods, reason = "a test writes files")]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use harness::{Answer, SlotDevice};
use serde_json::Value;

use crate::slots::{SLOT_HARDWARE, World};

/// Releases the payload of an image, and assigns it.
fn assign(world: &World, name: &str, image: &str) -> Result<()> {
    let full = world.payload(&format!("{name}.full"), image, None)?;
    world.release(name, &["--payload", &format!("{SLOT_HARDWARE}={full}")])?;
    world.site.assign("slots", name)
}

/// Takes back what waits; `stays` is the slot that runs, and what the plan says first.
fn take_back(device: &SlotDevice, stays: &str, first: &str) -> Result<()> {
    let planned = device.device.run(&["rollback", "--dry-run"])?;
    let plan = format!("take back the update that waits for a reboot; {stays} stays");
    for words in [first, plan.as_str(), "nothing of it was done"] {
        ensure!(planned.out.contains(words), "{words}: {} {}", planned.out, planned.err);
    }
    let done = device.device.run(&["rollback", "--json"])?;
    ensure!(done.code == 0, "{}", done.err);
    let done = done.json()?;
    ensure!(done["done"] == true && done["reboot_required"] == false, "{done}");
    ensure!(done["to"] == stays, "{done}");
    ensure!(device.device.status()?["reboot_required"] == false, "nothing waits any more");
    Ok(())
}

#[test]
fn an_update_of_the_server_is_taken_back_and_does_not_come_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    // The first one: nobody knows what runs.
    assign(&world, "p1", "v1")?;
    device.device.run_once()?;
    ensure!(device.device.status()?["reboot_required"] == true, "p1 waits");
    let again = "do not install p1-slot-board again under its assignment";
    take_back(&device, "slot a", again)?;
    ensure!(device.boot()? == 'a', "what runs stays");
    device.settle(1)?;
    let known = world.site.operator.device("slots")?;
    ensure!(known["last_report"]["code"] == "slot-board:ROLLED_BACK", "{known}");
    ensure!(known["last_report"]["success"] == false, "{known}");
    device.settle(1)?;
    ensure!(device.boot()? == 'a', "it does not come again");

    // A new order is followed.
    world.site.assign("slots", "p1")?;
    device.settle(4)?;
    ensure!(device.running()? == 'b' && world.holds(&device, 'b', "v1")?, "b is not v1");
    assign(&world, "p2", "v2")?;
    device.device.run_once()?;
    take_back(&device, "slot b (p1-slot-board)", "do not install p2-slot-board again")?;
    device.settle(1)?;
    ensure!(device.boot()? == 'b' && world.holds(&device, 'b', "v1")?, "b runs, and is v1");
    let known = world.site.operator.device("slots")?;
    ensure!(known["last_report"]["code"] == "slot-board:ROLLED_BACK", "{known}");
    ensure!(known["components"][0]["installed"]["release"] == "p1", "{known}");

    // On trial it is not for people to end it: the health of it does.
    assign(&world, "p4", "v4")?;
    device.device.run_once()?;
    ensure!(device.boot()? == 'a', "p4 is tried");
    let refused = device.device.run(&["rollback"])?;
    ensure!(
        refused.code != 0 && refused.err.contains("an update is in progress"),
        "{}",
        refused.err
    );
    device.settle(2)?;
    ensure!(device.running()? == 'a' && world.holds(&device, 'a', "v4")?, "a is not v4");
    Ok(())
}

/// `updraft slots` as somebody on the device calls it, in the boot that the agent sees.
fn by_hand(world: &World, device: &SlotDevice, arguments: &[&str]) -> Result<Answer> {
    let slot = device.slot('a');
    let folder = slot.parent().context("a slot is in a folder")?;
    let boot = std::fs::metadata(folder.join("cmdline"))?;
    let (dev, ino) = (boot.dev(), boot.ino());
    let session = format!("{dev}:{ino}:{}.{:09}", boot.mtime(), boot.mtime_nsec());
    // This machine's own command line names no slot.
    let config = std::fs::read_to_string(folder.join("slots.toml"))?;
    let own = folder.join("slots-by-hand.toml");
    std::fs::write(&own, format!("running = \"{}\"\n{config}", device.running()?))?;
    let mut command = world.site.programs().command("updraft");
    command.args(["slots", "--json", "--boot-id", &session, "--config"]).arg(own);
    Answer::of(command.args(arguments))
}

fn status(world: &World, device: &SlotDevice) -> Result<Value> {
    let answer = by_hand(world, device, &["status"])?;
    ensure!(answer.code == 0, "{}", answer.err);
    answer.json()
}

#[test]
fn an_update_that_somebody_applied_by_hand_is_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    assign(&world, "p1", "v1")?;
    device.settle(4)?;
    ensure!(device.running()? == 'b', "p1 does not run");
    let before = world.site.operator.device("slots")?["last_report"].clone();

    let full = world.payload("by-hand.full", "v2", None)?;
    for options in [&[][..], &["--header", "SWITCH_SLOT_ON_REBOOT=0"]] {
        let properties = format!("{full}.properties");
        let mut arguments = vec!["apply", full.as_str()];
        if Path::new(&properties).exists() {
            arguments.extend(["--properties", properties.as_str()]);
        }
        arguments.extend(options);
        let applied = by_hand(&world, &device, &arguments)?;
        ensure!(applied.code == 0, "{}", applied.err);
        let waits = status(&world, &device)?;
        ensure!(waits["active"] == if options.is_empty() { "a" } else { "b" }, "{waits}");
        take_back(&device, "slot b (p1-slot-board)", "take back")?;
        let rest = status(&world, &device)?;
        ensure!(rest["active"] == "b" && rest["phase"] == "idle", "{rest}");
        // What was taken back is nothing to go back to.
        let refused = device.device.run(&["rollback"])?;
        let words = "holds nothing that was found well";
        ensure!(refused.code != 0 && refused.err.contains(words), "{}", refused.err);
        ensure!(device.boot()? == 'b', "what runs stays");
        device.settle(1)?;
    }
    let known = world.site.operator.device("slots")?;
    ensure!(known["last_report"] == before, "the server has nothing to hear: {known}");
    Ok(())
}

/// Kills are this many write operations apart.
const STRIDE: u32 = 3;
/// More write operations than a way back has.
const TOO_MANY: u32 = 200;

/// Goes on with a way back that was killed: it is asked for again, as somebody would, unless the first
/// one is under way.
fn go_on(device: &SlotDevice) -> Result<()> {
    let again = device.device.run(&["rollback"])?;
    let goes_on = ["an update is in progress", "holds nothing that was found well"];
    let is_good = again.code == 0 || goes_on.iter().any(|words| again.err.contains(words));
    ensure!(is_good, "{}", again.err);
    Ok(())
}

#[test]
fn taking_an_update_back_goes_on_after_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    assign(&world, "p1", "v1")?;
    device.settle(4)?;
    ensure!(device.running()? == 'b', "p1 does not run");
    assign(&world, "p2", "v2")?;
    let mut operations = 0;
    loop {
        device.device.run_once()?;
        ensure!(device.device.status()?["reboot_required"] == true, "p2 does not wait");
        let killed = device.device.run_until_killed(&["rollback"], operations)?;
        // Whatever the boot loader would take.
        ensure!(world.holds(&device, 'a', "v2")? && world.holds(&device, 'b', "v1")?, "not whole");
        if killed {
            go_on(&device)?;
        }
        device.settle(2)?;
        let context = format!("killed before write {operations}");
        ensure!(device.running()? == 'b' && device.boot()? == 'b', "{context}: b does not stay");
        device.settle(1)?;
        let known = world.site.operator.device("slots")?;
        let code = &known["last_report"]["code"];
        ensure!(code == "slot-board:ROLLED_BACK", "{context}: {known}");
        if !killed {
            break;
        }
        operations += STRIDE;
        ensure!(operations < TOO_MANY, "the way back never ends");
        world.site.assign("slots", "p2")?;
    }
    ensure!(operations > 5, "only {operations} write operations were counted");
    Ok(())
}

#[test]
fn going_to_the_other_slot_goes_on_after_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    for (name, image) in [("p1", "v1"), ("p2", "v2")] {
        assign(&world, name, image)?;
        device.settle(4)?;
    }
    let images = [('a', "v2"), ('b', "v1")];
    let mut operations = 0;
    loop {
        let from = device.running()?;
        let to = if from == 'a' { 'b' } else { 'a' };
        let killed = device.device.run_until_killed(&["rollback"], operations)?;
        for (slot, image) in images {
            ensure!(world.holds(&device, slot, image)?, "slot {slot} is not whole");
        }
        // The power is cut: one of both comes up, and the way is gone once more if it was not gone.
        let context = format!("killed before write {operations}");
        if device.boot()? == from {
            ensure!(killed, "{from} came up after a way back");
            device.settle(1)?;
            let again = device.device.run(&["rollback"])?;
            ensure!(again.code == 0, "{context}: {}", again.err);
            ensure!(device.boot()? == to, "{context}: {to} does not come up");
        }
        device.settle(2)?;
        ensure!(device.running()? == to && device.boot()? == to, "{context}: {to} does not stay");
        if !killed {
            break;
        }
        operations += STRIDE;
        ensure!(operations < TOO_MANY, "the way back never ends");
    }
    ensure!(operations > 3, "only {operations} write operations were counted");
    Ok(())
}
