//! What a running process uses, as the kernel tells in `/proc`.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};

/// A clock tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that we build for.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far, in the kernel and outside of it, of all threads.
pub(crate) fn processor_time(process: &Child) -> Result<Duration> {
    let text = read(process, "stat")?;
    // The name of the program stands in parentheses and may hold anything; the 12th and 13th field
    // behind it are the ticks.
    let (_, fields) = text.rsplit_once(')').context("read the name of a process")?;
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u32>)
        .sum::<Result<u32, _>>()
        .context("read the ticks of a process")?;
    Ok(TICK * ticks)
}

/// Bytes of memory in use: `VmRSS`, of that without files: `RssAnon`, or the most so far: `VmHWM`.
pub(crate) fn memory(process: &Child, name: &str) -> Result<u64> {
    kib(&read(process, "status")?, name)
}

/// Bytes of memory in use, of what is shared with others only its part.
pub(crate) fn proportional(process: &Child) -> Result<u64> {
    kib(&read(process, "smaps_rollup")?, "Pss")
}

fn kib(text: &str, name: &str) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.and_then(|value| value.trim().trim_end_matches("kB").trim().parse().ok());
    value.map(|kib: u64| kib << 10).with_context(|| format!("read {name} of a process"))
}

fn read(process: &Child, name: &str) -> Result<String> {
    let path = PathBuf::from(format!("/proc/{}/{name}", process.id()));
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}
