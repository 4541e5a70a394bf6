//! Logs of a device: an operator asks, the agent sends what the device has.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use harness::{DeviceOptions, Site};

#[test]
fn an_operator_asks_and_the_agent_sends_what_the_device_has() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let programs = folder.path().join("logs.d");
    fs::create_dir(&programs)?;
    let program = programs.join("modem");
    fs::write(&program, "#!/bin/sh\nprintf 'the modem \\033[2J says hello\\n'\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let configuration = format!("[telemetry]\nlogs_path = \"{}\"\n", programs.display());
    let options = DeviceOptions { configuration, ..DeviceOptions::default() };
    let device = site.device("vehicle-1", &options)?;
    device.run_once()?;

    let operator = &site.operator;
    let asked = operator.json(&["device", "logs", "vehicle-1", "--request"])?;
    let id = asked["id"].as_u64().context("no number")?.to_string();
    device.run_once()?;
    let list = operator.json(&["device", "logs", "vehicle-1"])?;
    ensure!(list[0]["state"] == "received", "{list}");
    let shown = operator.run(&["device", "logs", "vehicle-1", &id])?.out;
    ensure!(shown.contains("==> journal <=="), "no journal in {shown}");
    // What a device sends does not command the terminal of who reads it.
    ensure!(shown.contains("==> modem <==\nthe modem \u{fffd}[2J says hello"), "{shown}");
    // Nothing is sent that was not asked for.
    device.run_once()?;
    let list = operator.json(&["device", "logs", "vehicle-1"])?;
    ensure!(list.as_array().map(Vec::len) == Some(1), "{list}");

    let reported = operator.run(&["device", "configuration", "vehicle-1"])?.out;
    ensure!(reported.contains("logs_path"), "no configuration: {reported}");

    // A device that is not to send any does not.
    let configuration = device.configuration_file();
    let text = fs::read_to_string(&configuration)?;
    fs::write(&configuration, text + "report_logs = false\n")?;
    operator.json(&["device", "logs", "vehicle-1", "--request"])?;
    device.run_once()?;
    let list = operator.json(&["device", "logs", "vehicle-1"])?;
    ensure!(list[0]["state"] == "requested", "{list}");
    let waited = operator.try_run(&["device", "logs", "vehicle-1", "--request", "--wait", "0"])?;
    let is_told = waited.err.contains("vehicle-1 has not sent log");
    ensure!(waited.code != 0 && is_told, "it came all the same: {waited:?}");
    Ok(())
}
