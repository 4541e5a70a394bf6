//! How small the agent is: its program on the disk, its memory when it has nothing to do, and what
//! its cycles take.
//!
//! ```text
//! cargo build --profile agent -p updraftd
//! cargo build --release -p updraft -p updraft-server -p updraft-agent-bench
//! target/release/updraft-agent-bench target/agent/updraftd
//! ```
//! A device takes an update of some thousand files from a server on this machine; then its agent,
//! which has fetched and deployed in this very process, waits for its next cycle, and is measured.
//! After a reboot it asks each second whether there is something new. Above the limits this is a
//! failure. Run it as root.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod process;

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use harness::{Answer, Device, DeviceOptions, HARDWARE, Programs, Site, small_tree};

/// The most bytes of the program without symbols.
const MAX_PROGRAM: u64 = 12_000_000;
/// The most bytes of memory of an agent that waits.
const MAX_RESIDENT: u64 = 20_000_000;
/// Files of the system that is installed, and the bytes of each.
const FILES: u32 = 4_000;
const FILE: u32 = 8_000;
/// Idle cycles that are measured, after the first ones.
const WARM: usize = 3;
const CYCLES: usize = 20;
/// Between two looks at the log, and how many of them.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 3_000;

/// Measure the agent: size, memory, processor time
#[derive(Parser)]
struct Options {
    /// The agent; `updraft` and `updraft-server` are those beside this program
    #[arg(value_name = "UPDRAFTD")]
    agent: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    let work = tempfile::tempdir()?;
    let programs = programs(&options.agent, &work.path().join("programs"))?;
    let site = site(&programs, work.path())?;
    let device = site.device("measured", &DeviceOptions::default())?;
    device.run_once()?;
    site.assign("measured", "big")?;
    let size = stripped(&options.agent, work.path())?;
    let update = observe(&device, |service| {
        wait_for(&device, "a reboot is required", 1)?;
        Usage::of(service)
    })?;
    device.boot()?;
    let cycle = observe(&device, |service| {
        wait_for(&device, CYCLE, count(&device, CYCLE) + WARM)?;
        let (cycles, time) = (count(&device, CYCLE), process::processor_time(service)?);
        wait_for(&device, CYCLE, cycles + CYCLES)?;
        let cycles = u32::try_from(count(&device, CYCLE) - cycles)?;
        Ok(process::processor_time(service)?.saturating_sub(time) / cycles.max(1))
    })?;
    let small = limited("program, stripped", size, MAX_PROGRAM)?;
    let lean = limited("resident while idle", update.resident, MAX_RESIDENT)?;
    line("of that, no file's", &megabytes(update.anonymous))?;
    line("proportional while idle", &megabytes(update.proportional))?;
    line("at most in the update", &megabytes(update.most))?;
    line("update of 32 MB, processor", &milliseconds(update.time))?;
    line("a cycle without news, processor", &milliseconds(cycle))?;
    Ok(small && lean)
}

/// What the log says at the end of each cycle.
const CYCLE: &str = "cycle done";

/// What an agent used until it waited.
struct Usage {
    time: Duration,
    resident: u64,
    /// Of that, what is not a part of the program or a library.
    anonymous: u64,
    proportional: u64,
    most: u64,
}

impl Usage {
    fn of(service: &Child) -> Result<Self> {
        // What the last moments of the cycle freed is given back by now.
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self {
            time: process::processor_time(service)?,
            resident: process::memory(service, "VmRSS")?,
            anonymous: process::memory(service, "RssAnon")?,
            proportional: process::proportional(service)?,
            most: process::memory(service, "VmHWM")?,
        })
    }
}

/// A folder with this agent and the other programs of the folder of this one.
fn programs(agent: &Path, folder: &Path) -> Result<Programs> {
    let own = std::env::current_exe().context("find this program")?;
    let beside = own.parent().context("find its folder")?;
    std::fs::create_dir(folder)?;
    let agent = agent.canonicalize().with_context(|| agent.display().to_string())?;
    symlink(agent, folder.join("updraftd"))?;
    for name in ["updraft", "updraft-server"] {
        symlink(beside.join(name), folder.join(name))?;
    }
    Programs::in_folder(folder)
}

/// A server with the release `big`.
fn site(programs: &Programs, folder: &Path) -> Result<Site> {
    let site = Site::start_with(programs.clone(), folder, 0)?;
    let tree = folder.join("tree");
    small_tree(&tree, "big")?;
    for number in 0..FILES {
        let folder = tree.join(format!("usr/share/many/{}", number / 100));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(number.to_string()), content(number))?;
    }
    let repo = folder.join("repo");
    let mut commit = programs.command("updraft");
    commit.arg("ostree").arg(format!("--repo={}", repo.display()));
    commit.args(["commit", "--branch=big", "--add-metadata-string=version=big"]);
    Answer::good(commit.arg(format!("--tree=dir={}", tree.display())))?;
    site.operator.release("big", &repo, HARDWARE, "big")?;
    Ok(site)
}

/// Bytes that hardly compress.
fn content(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) + 1;
    let mut next = || {
        // xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..FILE / 8).flat_map(|_| next()).collect()
}

/// The bytes of the program without symbols.
fn stripped(agent: &Path, work: &Path) -> Result<u64> {
    let stripped = work.join("updraftd");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(agent);
    ensure!(strip.status().context("run strip")?.success(), "strip failed");
    Ok(stripped.metadata()?.len())
}

/// Runs the agent as a service while `look` looks at it.
fn observe<T>(device: &Device, look: impl FnOnce(&Child) -> Result<T>) -> Result<T> {
    let mut service = device.start()?;
    let seen = look(&service);
    let _ = service.kill();
    let _ = service.wait();
    seen
}

/// Waits until the log of the agent says `text` so many times.
fn wait_for(device: &Device, text: &str, times: usize) -> Result<()> {
    for _ in 0..LOOKS {
        if count(device, text) >= times {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    bail!("`{text}` is not said: {}", std::fs::read_to_string(device.log()).unwrap_or_default())
}

fn count(device: &Device, text: &str) -> usize {
    std::fs::read_to_string(device.log()).unwrap_or_default().matches(text).count()
}

/// Prints a value with its limit; whether it is kept.
fn limited(name: &str, value: u64, limit: u64) -> Result<bool> {
    let kept = value <= limit;
    let verdict = if kept { "ok" } else { "TOO MUCH" };
    line(name, &format!("{}  limit {}  {verdict}", megabytes(value), megabytes(limit)))?;
    Ok(kept)
}

fn line(name: &str, text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "updraftd  {name:<32} {text}")?)
}

fn megabytes(bytes: u64) -> String {
    format!("{:>4}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

fn milliseconds(time: Duration) -> String {
    format!("{:>7.1} ms", time.as_secs_f64() * 1_000.0)
}
