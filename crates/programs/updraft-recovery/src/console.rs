//! What is said on the console.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use updraft_task::{Event, Progress};

/// Steps of progress that are shown, of a hundred.
const STEP: u64 = 10;

/// Says what happens, a line for each phase and for each tenth of it.
pub(crate) struct Console;

static SHOWN: AtomicU64 = AtomicU64::new(0);

impl Progress for Console {
    fn report(&self, event: &Event) {
        match event {
            Event::Message(text) => say(text),
            Event::Started { phase, .. } => {
                SHOWN.store(0, Ordering::Relaxed);
                say(&format!("{phase} ..."));
            }
            Event::Advanced { phase, done, total: Some(total) } if *total > 0 => {
                let percent = done.saturating_mul(100) / total / STEP * STEP;
                if percent > SHOWN.fetch_max(percent, Ordering::Relaxed) {
                    say(&format!("{phase}: {percent} %"));
                }
            }
            Event::Advanced { .. } | Event::Finished { .. } => {}
        }
    }
}

/// A line on the console. Nobody is left to tell when that fails.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The result of the program.
pub(crate) fn print(text: &str) -> ExitCode {
    let written = std::io::stdout().write_all(text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An error and what caused it, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = format!("failed to {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
