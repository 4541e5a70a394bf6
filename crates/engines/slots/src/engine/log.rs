//! What was done with the slots, by whichever process, for people who look later.
//!
//! `STATE/log.jsonl`: one [`LogEntry`] a line, the oldest first, of 128 KiB at most. Nothing is decided
//! by it, and a power cut may take its last lines.

use std::fmt::Display;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use updraft_fs::atomic_write_unsynced;

use super::Engine;
use crate::Result;

const FILE: &str = "log.jsonl";
/// With more, the older half is given up.
const MAX_FILE: u64 = 128 << 10;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 2048;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, in seconds since 1970, by the device's clock; none where the process had none.
    pub time: Option<u64>,
    /// What, in one word: `begun`, `failed`, `suspended`, ….
    pub event: String,
    /// The rest.
    pub message: String,
}

impl Engine {
    /// The same, which writes down when things are done.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { now: Some(Box::new(now)), ..self }
    }

    /// What was done, the oldest first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<Vec<LogEntry>> {
        let bytes = self.folder.try_read(FILE, 2 * MAX_FILE)?.unwrap_or_default();
        // A line that was cut off by a power cut tells nothing.
        Ok(bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|it| serde_json::from_slice(it).ok())
            .collect())
    }

    /// Writes down what was done. A log that cannot be written is no reason not to do it.
    pub(super) fn note(&self, event: &str, message: impl Display) {
        let mut message = message.to_string();
        let end = (0..=MAX_MESSAGE).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
        let now = self.now.as_ref().map(|now| now());
        let time = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()).map(|it| it.as_secs());
        let entry = LogEntry { time, event: event.to_owned(), message };
        let mut line = serde_json::to_vec(&entry).unwrap_or_default();
        line.push(b'\n');
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).mode(0o644);
        let written = options.open(self.config.state.join(FILE)).and_then(|mut file| {
            file.write_all(&line)?;
            file.metadata()
        });
        if written.is_ok_and(|about| about.len() > MAX_FILE) {
            self.halve_log();
        }
    }

    fn halve_log(&self) {
        let Ok(entries) = self.log() else { return };
        let kept = entries.iter().skip(entries.len().div_ceil(2));
        let mut text = Vec::new();
        for entry in kept {
            text.extend(serde_json::to_vec(entry).unwrap_or_default());
            text.push(b'\n');
        }
        let _ = atomic_write_unsynced(&self.folder, FILE, &text, 0o644);
    }
}
