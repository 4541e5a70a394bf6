//! One progress over a whole update, which never goes back, with an estimate of what is left; and
//! where other processes read it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use updraft_fs::{Dir, atomic_write_unsynced};
use updraft_task::{Event, Progress, Unit};

use super::EngineStatus;
use crate::apply::{VERIFYING, WRITING};

const FILE: &str = "progress.json";
const MAX_FILE: u64 = 4096;
/// How often the file is written.
const PAUSE: Duration = Duration::from_millis(500);
/// Parts of the whole, in thousandths: what is read back is read faster than it is written.
const WRITING_PART: u64 = 800;
const VERIFYING_PART: u64 = 190;
const WHOLE: u64 = 1000;
/// Before this no estimate is worth anything.
const MIN_ELAPSED: Duration = Duration::from_secs(2);
const UPDATING: &str = "updating the slot";

/// How far a running update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateProgress {
    /// What is being done.
    pub status: EngineStatus,
    /// Of the whole, in thousandths.
    pub permille: u64,
    /// The estimate of what is left.
    pub seconds_left: Option<u64>,
}

impl UpdateProgress {
    pub(super) fn read(folder: &Dir) -> Option<Self> {
        let bytes = folder.try_read(FILE, MAX_FILE).ok().flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn clear(folder: &Dir) {
        // Whoever finds it looks at the lock first.
        let _ = folder.try_unlink(FILE);
    }
}

/// Takes the phases of an apply, and makes one of them.
pub(super) struct Overall {
    folder: Dir,
    shown: Arc<dyn Progress>,
    inner: Mutex<Inner>,
}

struct Inner {
    begun: Instant,
    /// Where this call began, in thousandths.
    first: Option<u64>,
    now: UpdateProgress,
    written: Option<Instant>,
}

impl Overall {
    pub(super) fn new(folder: Dir, shown: Arc<dyn Progress>) -> Self {
        let now = UpdateProgress {
            status: EngineStatus::UpdateAvailable,
            permille: 0,
            seconds_left: None,
        };
        let inner = Inner { begun: Instant::now(), first: None, now, written: None };
        let total = Some(WHOLE);
        shown.report(&Event::Started { phase: UPDATING, total, unit: Unit::Items });
        Self { folder, shown, inner: Mutex::new(inner) }
    }

    /// The last step: `done` thousandths of programs are run, of `total` programs.
    pub(super) fn finalizing(&self, done: u64, total: u64) {
        let part = WHOLE - WRITING_PART - VERIFYING_PART;
        let done = done.saturating_mul(part) / total.saturating_mul(1000).max(1);
        let before = WRITING_PART + VERIFYING_PART;
        self.advance(EngineStatus::Finalizing, before + done.min(part));
    }

    pub(super) fn end(&self) {
        self.shown.report(&Event::Finished { phase: UPDATING });
        UpdateProgress::clear(&self.folder);
    }

    fn advance(&self, status: EngineStatus, permille: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *inner.first.get_or_insert(permille);
        let is_new = inner.now.status != status;
        inner.now.status = status;
        inner.now.permille = inner.now.permille.max(permille.min(WHOLE));
        let (elapsed, done) = (inner.begun.elapsed(), inner.now.permille.saturating_sub(first));
        inner.now.seconds_left = (elapsed >= MIN_ELAPSED && done > 0).then(|| {
            let left = WHOLE.saturating_sub(inner.now.permille);
            elapsed.as_secs().saturating_mul(left) / done
        });
        let (done, total) = (inner.now.permille, Some(WHOLE));
        self.shown.report(&Event::Advanced { phase: UPDATING, done, total });
        if is_new || inner.written.is_none_or(|at| at.elapsed() >= PAUSE) {
            inner.written = Some(Instant::now());
            let bytes = serde_json::to_vec(&inner.now).unwrap_or_default();
            // Somebody who looks sees an older one.
            let _ = atomic_write_unsynced(&self.folder, FILE, &bytes, 0o644);
        }
    }
}

impl Progress for Overall {
    fn report(&self, event: &Event) {
        let (phase, done, total) = match event {
            Event::Advanced { phase, done, total } => (*phase, *done, *total),
            Event::Started { .. } | Event::Finished { .. } => return,
            Event::Message(_) => return self.shown.report(event),
        };
        let part = |of: u64| {
            let total = total.unwrap_or(0).max(1);
            u64::try_from(u128::from(of) * u128::from(done.min(total)) / u128::from(total))
                .unwrap_or(of)
        };
        match phase {
            WRITING => self.advance(EngineStatus::Downloading, part(WRITING_PART)),
            VERIFYING => {
                self.advance(EngineStatus::Verifying, WRITING_PART + part(VERIFYING_PART));
            }
            _ => {}
        }
    }
}
