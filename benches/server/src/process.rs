//! What a running process uses, as the kernel tells in `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// A clock tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that we build for.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far of a process (all its threads), in the kernel and outside of it.
pub(crate) fn processor_time(id: u32) -> Result<Duration> {
    ticks(&stat(id)?, 11)
}

/// The same of all that this process has started and that has ended.
pub(crate) fn of_children() -> Result<Duration> {
    ticks(&stat(std::process::id())?, 13)
}

/// The same of a process with all that it started, whether they have ended or not.
pub(crate) fn processor_time_below(id: u32) -> Result<Duration> {
    let own = stat(id)?;
    // Of those that have ended: the 14th and 15th field.
    let mut sum = ticks(&own, 11)? + ticks(&own, 13)?;
    for entry in std::fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse() else { continue };
        // It may have ended in the meantime.
        let Ok(fields) = stat(child) else { continue };
        if fields.get(1).is_some_and(|parent| *parent == id.to_string()) {
            sum += ticks(&fields, 11)?;
        }
    }
    Ok(sum)
}

/// What stands in `/proc/PID/stat` behind the name, which stands in parentheses and may hold
/// anything.
fn stat(id: u32) -> Result<Vec<String>> {
    let text = read(id, "stat")?;
    let (_, fields) = text.rsplit_once(')').context("read the name of a process")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// Two fields of ticks, as a time.
fn ticks(fields: &[String], first: usize) -> Result<Duration> {
    let ticks = fields.iter().skip(first).take(2).map(|field| field.parse::<u32>());
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
