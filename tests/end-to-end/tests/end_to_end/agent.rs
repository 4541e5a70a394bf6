//! The agent's commands on a device: stopped, shown, done step by step, failed and tried again.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use crate::support;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::Refusal;
use anyhow::{Context, Result, ensure};
use harness::{Attacker, Device, DeviceOptions, ObjectChange, Site};

/// More requests than the agent has in flight at a time.
const IN_FLIGHT: usize = 32;

fn objects(requests: &[String]) -> BTreeSet<String> {
    requests.iter().filter(|path| path.contains(".filez")).cloned().collect()
}

/// Starts a cycle that fetches slowly, and ends it with a signal in the middle.
fn interrupted(device: &Device, attacker: &Attacker, signal: &str) -> Result<Option<i32>> {
    attacker.change_objects(ObjectChange::Delay(Duration::from_millis(200)));
    let mut process = device.agent(&["run-once"]);
    let mut process = process.stderr(std::process::Stdio::null()).spawn()?;
    for _ in 0..600 {
        if attacker.requests().iter().filter(|path| path.contains(".filez")).count() > IN_FLIGHT {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    support::signal(&process, signal)?;
    let ended = process.wait()?;
    attacker.relent();
    Ok(ended.code())
}

#[test]
fn a_fetch_that_was_stopped_goes_on_and_fetches_nothing_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    for (id, signal, code) in [("stopped", "TERM", Some(130)), ("killed", "KILL", None)] {
        let (attacker, device) = site.device_behind_attacker(id)?;
        device.run_once()?;
        site.assign(id, "v1")?;
        let _ = attacker.take_requests();
        ensure!(interrupted(&device, &attacker, signal)? == code, "another end after {signal}");
        site.check_store(&device)?;
        let first = objects(&attacker.take_requests());
        device.settle(4)?;
        ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not reached");
        let second = objects(&attacker.take_requests());
        ensure!(!first.is_empty() && !second.is_empty(), "it was not stopped in the middle");
        let twice = first.intersection(&second).count();
        ensure!(twice <= IN_FLIGHT, "{twice} of {} objects were fetched again", first.len());
        ensure!(first.len() > twice, "nothing of {} was kept", first.len());
    }
    Ok(())
}

#[test]
fn a_service_ends_well_when_it_is_told_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("served", &DeviceOptions::default())?;
    let mut service = device.start()?;
    support::wait_for(&device.log(), "cycle done")?;
    support::terminate(&service)?;
    ensure!(service.wait()?.success(), "the service did not end well");
    ensure!(device.status()?["provisioned"] == true, "the device is not provisioned");
    Ok(())
}

#[test]
fn what_a_device_measures_is_shown_to_operators() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 0)?;
    let device = site.device("car", &DeviceOptions::default())?;
    let programs = folder.path().join("metrics.d");
    std::fs::create_dir(&programs)?;
    let battery = programs.join("battery.sh");
    std::fs::write(&battery, "#!/bin/sh\necho '{\"percent\": 80.5}'\n")?;
    std::fs::set_permissions(&battery, std::fs::Permissions::from_mode(0o755))?;
    let drop_in = device.configuration_file().with_extension("d");
    std::fs::create_dir_all(&drop_in)?;
    let text = format!("[telemetry]\nmetrics_path = \"{}\"\n", programs.display());
    std::fs::write(drop_in.join("metrics.toml"), text)?;
    device.run_once()?;
    let metrics = site.operator.json(&["device", "metrics", "car"])?;
    let value = |name: &str| {
        let found = metrics.as_array()?.iter().find(|metric| metric["name"] == name)?;
        found["value"].as_f64()
    };
    ensure!(value("battery.percent") == Some(80.5), "{metrics}");
    for name in ["memory.available_bytes", "disk.available_bytes", "cpu.used_percent"] {
        ensure!(value(name).is_some_and(|value| value > 0.0), "{name} of {metrics}");
    }
    let series = site.operator.json(&["device", "metrics", "car", "battery.percent"])?;
    ensure!(series["points"][0]["value"] == 80.5, "{series}");
    let shown = site.operator.run(&["device", "metrics", "car", "battery.percent"])?.out;
    ensure!(shown.contains("80.50"), "{shown}");
    Ok(())
}

#[test]
fn u_p1_each_step_can_be_done_by_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 2)?;
    let device = site.device_on("v1", "stepwise", &DeviceOptions::default())?;
    site.assign("stepwise", "v2")?;

    let nothing = Refusal { code: 4, says: &["fetched"], hint: "updraftd fetch" };
    let shown = device.run(&["run-once", "--dry-run", "--json"])?.json()?;
    ensure!(shown["outcome"] == "available", "{shown}");
    let plan = shown["plan"].as_array().context("a plan")?;
    let verbs: Vec<_> =
        plan.iter().map(|step| step.as_str().unwrap_or("").split(' ').next()).collect();
    let expected = ["fetch", "stage", "activate", "reboot", "check", "confirm"].map(Some);
    ensure!(verbs == expected, "the plan is {plan:?}");
    support::unchanged(&site, &device)?;
    let checked = device.run(&["check", "--json"])?.json()?;
    ensure!(checked == shown, "check says {checked}");
    nothing.of(&site, &device, &["install"])?;

    let fetched = device.run(&["fetch", "--json"])?.json()?;
    ensure!(fetched["outcome"] == "fetched", "{fetched}");
    support::unchanged(&site, &device)?;
    site.server.stop()?;
    let installed = device.run(&["install", "--json"])?.json()?;
    ensure!(installed["outcome"] == "reboot-required", "{installed}");
    ensure!(device.status()?["update"]["stage"] == "awaiting-reboot", "{}", device.status()?);
    let waits = Refusal { code: 5, says: &["reboot"], hint: "reboot" };
    waits.fits(&device.run(&["check"])?)?;
    // Asked again it only says so again.
    let again = device.run(&["install", "--json"])?.json()?;
    ensure!(again["outcome"] == "reboot-required", "{again}");
    device.boot()?;
    // It is confirmed without the server, which hears it when it is back.
    let confirmed = device.run(&["install", "--json"])?.json()?;
    ensure!(confirmed["outcome"] == "confirmed", "{confirmed}");
    ensure!(device.status()?["report_queued"] == true, "{}", device.status()?);
    site.server.run()?;
    device.run_once()?;
    let status = device.status()?;
    ensure!(status["report_queued"] == false && status["events_queued"] == 0, "{status}");
    let known = site.operator.device("stepwise")?;
    ensure!(known["last_report"]["success"] == true, "the server heard {known}");
    Ok(())
}

#[test]
fn what_failed_is_not_tried_again_unless_it_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let options = DeviceOptions { fails_on: Some("v2".to_owned()), ..DeviceOptions::default() };
    let device = site.device_on("v1", "ill", &options)?;
    site.assign("ill", "v2")?;
    device.run_once()?;
    device.boot()?;
    let back = device.run(&["run-once", "--json"])?;
    ensure!(back.json()?["reboot_required"] == true, "{} {}", back.out, back.err);
    device.boot()?;
    let failed = device.run(&["run-once"])?;
    ensure!(failed.code == 9 && failed.err.contains("mark"), "{} {}", failed.code, failed.err);
    support::unchanged(&site, &device)?;
    let status = device.status()?;
    ensure!(status["failed"][0]["sha256"] == site.commit("v2"), "{status}");
    let again = device.run(&["run-once", "--json"])?.json()?;
    ensure!(again["outcome"] == "failed-before" || again["outcome"] == "up-to-date", "{again}");
    support::unchanged(&site, &device)?;
    Ok(())
}

#[test]
fn a_check_that_hangs_is_a_failure_and_a_new_order_is_tried_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let well = folder.path().join("well");
    std::fs::write(&well, "")?;
    let configuration = format!(
        "[[health.checks]]\nname = \"service\"\n\
         command = [\"/bin/sh\", \"-c\", \"test -e {} || sleep 600\"]\ntimeout_sec = 1\n",
        well.display()
    );
    let options = DeviceOptions { configuration, ..DeviceOptions::default() };
    let device = site.device_on("v1", "hanging", &options)?;
    site.assign("hanging", "v2")?;
    device.run_once()?;
    std::fs::remove_file(&well)?;
    device.boot()?;
    let begun = std::time::Instant::now();
    let back = device.run(&["run-once", "--json"])?;
    ensure!(begun.elapsed() < Duration::from_mins(1), "the deadline was not kept");
    ensure!(back.json()?["reboot_required"] == true, "{} {}", back.out, back.err);
    device.boot()?;
    let failed = device.run(&["run-once"])?;
    ensure!(failed.code == 9 && failed.err.contains("service"), "{} {}", failed.code, failed.err);
    support::unchanged(&site, &device)?;

    std::fs::write(&well, "")?;
    device.run_once()?;
    support::unchanged(&site, &device)?;
    // The same release again: a new assignment is a new order.
    site.assign("hanging", "v2")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted");
    let known = site.operator.device("hanging")?;
    ensure!(known["last_report"]["success"] == true, "the server heard {known}");
    Ok(())
}

#[test]
fn an_assignment_that_changes_in_the_middle_is_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 3)?;
    let (attacker, device) = site.device_behind_attacker("redirected")?;
    device.run_once()?;
    site.assign("redirected", "v1")?;
    device.settle(4)?;
    site.assign("redirected", "v2")?;
    attacker.change_objects(ObjectChange::Truncate);
    let answer = device.run(&["run-once"])?;
    ensure!(answer.code == 8, "{} {}", answer.code, answer.err);
    ensure!(device.status()?["update"]["sha256"] == site.commit("v2"), "{}", device.status()?);
    attacker.relent();
    site.operator.run(&["rollout", "stop", &site.last_rollout()])?;
    site.assign("redirected", "v3")?;
    device.run_once()?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v3"), "v3 is not reached");
    ensure!(device.status()?["failed"].as_array().is_some_and(Vec::is_empty), "v2 failed");
    Ok(())
}
