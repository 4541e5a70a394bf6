//! What recovery leaves for people: `last_log`, `last_kmsg` and `last_install`, each boot's own.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use updraft_fs::{Dir, atomic_write};
use updraft_task::{Context, Event, Progress};

use crate::{Error, Result};

const KEPT: u32 = 10;
const ROTATED: [&str; 2] = ["last_log", "last_kmsg"];
/// How much of a log is kept, in bytes.
const MAX_LOG: usize = 512 << 10;

/// The logs of earlier starts are out of the way.
pub(super) struct Logs<'a>(&'a Dir);

impl<'a> Logs<'a> {
    /// `last_log` becomes `last_log.1`, and so on; the tenth is dropped.
    pub(super) fn begin(state: &'a Dir) -> Result<Self> {
        for name in ROTATED {
            for number in (0..KEPT).rev() {
                let from = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
                if state.exists(&from)? {
                    state.rename(&from, state, format!("{name}.{}", number + 1))?;
                }
            }
        }
        Ok(Self(state))
    }

    pub(super) fn write(&self, log: &str, kernel: &str) -> Result<()> {
        for (name, text) in ROTATED.iter().zip([log, kernel]) {
            let from = text.len().saturating_sub(MAX_LOG);
            let bytes = text.as_bytes().get(from..).unwrap_or_default();
            atomic_write(self.0, name, bytes, 0o640)?;
        }
        Ok(())
    }
}

/// The result of an install, as the system reads it after its start.
pub(super) fn write_last_install(
    state: &Dir,
    package: &str,
    result: Result<(), &Error>,
    retry: u32,
) -> Result<()> {
    let mut text = format!("{package}\n{}\nretry: {retry}\n", u8::from(result.is_ok()));
    if let Err(error) = result {
        if let Error::Script { code: Some(code), .. } = error {
            let _ = writeln!(text, "error: {code}");
        }
        let _ = writeln!(text, "reason: {}", with_causes(error));
    }
    Ok(atomic_write(state, "last_install", text.as_bytes(), 0o644)?)
}

/// An error and what caused it, on one line.
pub(super) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

/// Keeps what is said, and passes it on.
#[derive(Debug)]
pub(super) struct Logged {
    next: Passed,
    text: Mutex<String>,
}

struct Passed(Arc<dyn Progress>);

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passed")
    }
}

impl Logged {
    pub(super) fn new(context: &Context) -> Self {
        Self { next: Passed(context.progress.clone()), text: Mutex::default() }
    }

    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Logged {
    fn report(&self, event: &Event) {
        let line = match event {
            Event::Message(text) => Some(text.clone()),
            Event::Started { phase, .. } => Some(format!("{phase} …")),
            Event::Advanced { .. } | Event::Finished { .. } => None,
        };
        if let Some(line) = line {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            if text.len() < MAX_LOG {
                text.push_str(&line);
                text.push('\n');
            }
        }
        self.next.0.report(event);
    }
}
