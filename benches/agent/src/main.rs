//! How small the agent is: its program on the disk, and its memory when it has nothing to do.
//!
//! ```text
//! cargo build --release -p updraft -p updraftd -p updraft-server -p updraft-agent-bench
//! target/release/updraft-agent-bench
//! ```
//! A device takes an update from a server on this machine; then its agent, which has fetched and
//! deployed in this very process, waits for its next cycle, and is measured. Above the limits this is
//! a failure. Run it as root.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{DeviceOptions, Programs, Site};

/// The most bytes of the program without symbols.
const MAX_PROGRAM: u64 = 12 << 20;
/// The most bytes of memory of an agent that waits.
const MAX_RESIDENT: u64 = 20 << 20;
/// Between two looks at the log, and how many of them.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 600;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let own = std::env::current_exe().context("find this program")?;
    let folder = own.parent().context("find its folder")?;
    let programs = Programs::in_folder(folder)?;
    let work = tempfile::tempdir()?;
    let small = line("program, stripped", program(folder, work.path())?, MAX_PROGRAM)?;
    let lean = line("resident while idle", resident(programs, work.path())?, MAX_RESIDENT)?;
    Ok(small && lean)
}

/// Prints one value in MiB with its limit; whether it is kept.
fn line(name: &str, value: u64, limit: u64) -> Result<bool> {
    let kept = value <= limit;
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    let verdict = if kept { "ok" } else { "TOO MUCH" };
    writeln!(
        std::io::stdout(),
        "updraftd  {name:<20} {:>9}  limit {:>9}  {verdict}",
        mib(value),
        mib(limit)
    )?;
    Ok(kept)
}

fn program(folder: &Path, work: &Path) -> Result<u64> {
    let stripped = work.join("updraftd");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(folder.join("updraftd"));
    ensure!(strip.status().context("run strip")?.success(), "strip failed");
    Ok(stripped.metadata()?.len())
}

fn resident(programs: Programs, work: &Path) -> Result<u64> {
    let site = Site::start_with(programs, work, 1)?;
    let device = site.device("measured", &DeviceOptions::default())?;
    device.run_once()?;
    site.assign("measured", "v1")?;
    let mut service = device.start()?;
    let measured = wait_for(&device.log(), "a reboot is required").and_then(|()| {
        // What the last moments of the cycle freed is given back by now.
        std::thread::sleep(Duration::from_millis(500));
        resident_of(&service)
    });
    end(&mut service);
    measured
}

fn resident_of(process: &Child) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    Ok(kib.context("read VmRSS")? << 10)
}

fn wait_for(log: &Path, text: &str) -> Result<()> {
    for _ in 0..LOOKS {
        if std::fs::read_to_string(log).unwrap_or_default().contains(text) {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    bail!("`{text}` is never said: {}", std::fs::read_to_string(log).unwrap_or_default())
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
