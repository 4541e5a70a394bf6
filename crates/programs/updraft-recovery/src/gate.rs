//! Asks a program of the device whether this is a time to update: battery, temperature, hours.

use std::time::Duration;

use updraft_process::Command;
use updraft_task::Context;

const TIMEOUT: Duration = Duration::from_secs(30);

/// `Err`: what the program says why not, its first line. No program: it is.
pub(crate) fn ask(context: &Context, words: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let finished = Command::new(program).args(arguments).timeout(TIMEOUT).output(context);
    let finished = finished.map_err(|error| format!("{program} could not be asked: {error}"))?;
    if finished.status.success() {
        return Ok(());
    }
    let text = finished.stdout.text();
    let reason = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    Err(reason.map_or_else(|| format!("{program} says no"), str::to_owned))
}
