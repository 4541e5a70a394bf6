//! What people do on a device with slots beside the server: go back, and look at its page.
#![allow(clippy::disallowed_methods, reason = "a test writes files")]

use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::{Answer, SlotDevice};
use serde_json::Value;

use crate::slots::{SLOT_HARDWARE, World};

const PATIENCE: Duration = Duration::from_mins(1);

/// Releases and installs the payload of an image.
fn update(world: &World, device: &SlotDevice, name: &str, slot: char) -> Result<()> {
    let full = world.payload(&format!("{name}.full"), name, None)?;
    let payload = format!("{SLOT_HARDWARE}={full}");
    world.release(&format!("p{name}"), &["--payload", &payload])?;
    world.site.assign("slots", &format!("p{name}"))?;
    device.settle(4)?;
    ensure!(device.running()? == slot && world.holds(device, slot, name)?, "{name} does not run");
    Ok(())
}

#[test]
fn a_device_goes_back_to_the_other_slot_and_stays_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    let refused = device.device.run(&["rollback"])?;
    ensure!(
        refused.code != 0 && refused.err.contains("holds nothing that was found well"),
        "{}",
        refused.err
    );
    update(&world, &device, "v1", 'b')?;
    update(&world, &device, "v2", 'a')?;

    let plan = device.device.run(&["rollback", "--dry-run"])?;
    for words in [
        "do not install pv2-slot-board again",
        "make slot b (pv1-slot-board) the active one",
        "reboot into slot b (pv1-slot-board)",
        "nothing of it was done",
    ] {
        ensure!(plan.out.contains(words), "{words}: {}", plan.out);
    }
    ensure!(device.boot()? == 'a', "it was only a plan");
    let done = device.device.run(&["rollback"])?;
    ensure!(done.code == 0 && done.out.contains("a reboot is required"), "{}", done.err);
    ensure!(device.boot()? == 'b', "the other slot is started");
    device.settle(2)?;
    ensure!(device.running()? == 'b' && world.holds(&device, 'b', "v1")?, "b is not v1");
    let known = world.site.operator.device("slots")?;
    ensure!(
        known["last_report"]["code"].as_str().is_some_and(|it| it.contains("ROLLED_BACK")),
        "{known}"
    );
    ensure!(known["components"][0]["installed"]["release"] == "pv1", "{known}");
    // It is still assigned, and not installed again.
    device.settle(2)?;
    ensure!(device.boot()? == 'b', "it stays there");
    Ok(())
}

/// The agent as a service, until it is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_serves_the_page_of_the_slots() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let page = format!("slots.page=127.0.0.1:{port}");
    let _service = Service(device.device.agent(&["--set", &page, "run"]).spawn()?);
    let begun = Instant::now();
    let token = loop {
        if let Ok(token) = std::fs::read_to_string(device.state().join("page-token"))
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            break token;
        }
        ensure!(begun.elapsed() < PATIENCE, "the page is not served");
        std::thread::sleep(Duration::from_millis(50));
    };
    let url = format!("http://127.0.0.1:{port}/api/v1/status");
    let bearer = format!("Authorization: Bearer {}", token.trim());
    let told = Answer::good(Command::new("curl").args(["-sS", "--fail", "-H", &bearer, &url]))?;
    let status: Value = serde_json::from_str(&told.out)?;
    ensure!(status["slots"]["running"] == "a", "{status}");
    let refused = Answer::of(Command::new("curl").args(["-sS", "--fail", &url]))?;
    ensure!(refused.code != 0 && refused.err.contains("401"), "{}", refused.err);
    Ok(())
}

#[test]
fn a_medium_brings_a_payload_to_a_device_without_a_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut world = World::start(folder.path())?;
    let device = world.device("slots")?;
    device.device.run_once()?;
    // From then on it has roots of both repositories.
    update(&world, &device, "v1", 'b')?;
    let full = world.payload("v2.full", "v2", None)?;
    world.release("pv2", &["--payload", &format!("{SLOT_HARDWARE}={full}")])?;
    let medium = folder.path().join("medium").display().to_string();
    let create = ["lockbox", "create", "spring", "--output", &medium, "--release", "pv2"];
    world.site.operator.run(&create)?;
    world.site.server.stop()?;

    let install = |expected: &str| {
        let report = device.device.run(&["offline", "install", "--from", &medium, "--json"])?;
        ensure!(report.code == 0, "{}", report.err);
        let report = report.json()?;
        ensure!(report["outcome"] == expected, "{expected}: {report}");
        anyhow::Ok(())
    };
    install("reboot-required")?;
    ensure!(device.running()? == 'b' && device.boot()? == 'a', "the new slot is tried");
    install("confirmed")?;
    ensure!(world.holds(&device, 'a', "v2")?, "a is not v2");
    install("up-to-date")?;

    world.site.server.run()?;
    world.site.operator.run(&["lockbox", "receive", &medium])?;
    let known = world.site.operator.device("slots")?;
    ensure!(known["components"][0]["installed"]["release"] == "pv2", "{known}");
    Ok(())
}
