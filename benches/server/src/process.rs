//! What a running process uses, as the kernel tells in `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// A clock tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that we build for.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far of a process (all its threads), in the kernel and outside of it.
pub(crate) fn processor_time(id: u32) -> Result<Duration> {
    let text = read(id, "stat")?;
    // The name of the program stands in parentheses and may hold anything; the 12th and 13th field
    // behind it are the ticks.
    let (_, fields) = text.rsplit_once(')').context("read the name of a process")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Ok(TICK * ticks.sum::<Result<u32, _>>().context("read the ticks of a process")?)
}

/// Mebibytes of memory in use: `VmRSS`, or the most so far: `VmHWM`.
pub(crate) fn memory(id: u32, name: &str) -> Result<f64> {
    let text = read(id, "status")?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.and_then(|value| value.trim().trim_end_matches("kB").trim().parse().ok());
    value.map(|kib: f64| kib / 1024.0).with_context(|| format!("read {name} of a process"))
}

fn read(id: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{id}/{name}");
    std::fs::read_to_string(&path).with_context(|| path)
}
