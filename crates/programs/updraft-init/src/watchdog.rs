//! The hardware watchdog, started before anything can hang.
//!
//! It is opened, told once that all is well, and let go: without the farewell that stops it (the
//! letter `V`, `Documentation/watchdog/watchdog-api.rst` of the kernel) it goes on, and resets the
//! machine unless the system, or its updater, takes it over within the watchdog's own time.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::console::{complain, say};
use crate::failure::{During, Result};

/// The watchdog of a machine that has one.
pub(crate) const DEFAULT: &str = "/dev/watchdog";

/// Starts it. A machine without one boots all the same.
pub(crate) fn start(device: &Path) {
    match try_start(device) {
        Ok(()) => say(&format!("the watchdog {} runs", device.display())),
        Err(failure) => complain(&failure.to_string()),
    }
}

fn try_start(device: &Path) -> Result<()> {
    let what = || format!("start the watchdog {}", device.display());
    let mut file = File::options().write(true).open(device).during(what)?;
    file.write_all(b"\0").during(what)
}
