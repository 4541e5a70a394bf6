//! Switching a machine on, again and again, until it is up.

use std::time::Duration;

use anyhow::{Result, bail};
use machine::Machine;

/// What a busy machine needs for a boot.
const BOOT: Duration = Duration::from_mins(5);
/// With one system that is given up.
const MOST_STARTS: usize = 5;

/// What can be switched on, and ends when it reboots.
pub(crate) trait Starts {
    fn start_once(&self) -> Result<Machine>;
}

/// Starts it until a release is up: the machine, and what starts said that ended before.
///
/// # Errors
/// With the end of its console, when it is another release, or none.
pub(crate) fn start_until(what: &impl Starts, release: &str) -> Result<(Machine, Vec<String>)> {
    let mut vain = Vec::new();
    for _ in 0..MOST_STARTS {
        let mut machine = what.start_once()?;
        match machine.wait_for("SYSTEM READY", BOOT) {
            Ok(text) if text.contains(&format!("SYSTEM READY {release}")) => {
                return Ok((machine, vain));
            }
            Ok(text) => bail!("{}{text}\n{release} was to come up", vain.concat()),
            Err(_) if machine.has_ended() => vain.push(machine.console()),
            Err(error) => return Err(error.context(vain.concat())),
        }
    }
    bail!("it does not come up: {}", vain.concat())
}
