//! What people on the device tell the agent: hold on, go on, stop, later, yes, no.
//!
//! ```text
//! STORAGE/control.json    {"paused":false,"postponed_until":null,"accepted":null,"declined":null}
//! STORAGE/abort           there: what is under way stops at its next safe point
//! ```
//! Two files and no socket: what was said holds across restarts, can be said while no agent runs,
//! and the folder's mode says who may.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use updraft_fs::{Dir, LockFile, LockMode, atomic_write};
use updraft_task::{CancelToken, Cancelled, Event, Gate, Progress};

use crate::clock::Clock;
use crate::config::Storage;
use crate::events;
use crate::service_manager::Pulse;
use crate::store::{Store, Update};
use crate::{Error, Result};

const FILE: &str = "control.json";
const ABORT: &str = "abort";
const LIMIT: u64 = 64 << 10;
/// How long what was said may go unheard.
const NOTICE: Duration = Duration::from_millis(200);

/// What was said. The shape of `updraftd pause --json` and its like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// Whether nothing shall go on.
    pub paused: bool,
    /// Until when nothing shall be installed.
    pub postponed_until: Option<Timestamp>,
    /// The update that may be installed.
    pub accepted: Option<String>,
    /// The update that shall not be installed.
    pub declined: Option<String>,
}

/// Hears and passes on what people say.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    storage: Storage,
}

impl Control {
    pub(crate) fn new(storage: &Storage) -> Self {
        Self { storage: storage.clone() }
    }

    /// What was said last. A file that is damaged says nothing.
    pub(crate) fn wishes(&self) -> Result<Wishes> {
        let path = &self.storage.path;
        if !path.is_dir() {
            return Ok(Wishes::default());
        }
        let Some(bytes) = Dir::open(path)?.try_read(FILE, LIMIT)? else {
            return Ok(Wishes::default());
        };
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "{FILE} is damaged");
            Wishes::default()
        }))
    }

    /// Changes what was said.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Wishes)) -> Result<Wishes> {
        let dir = Dir::create_all(&self.storage.path, 0o700)?;
        let mut wishes = self.wishes()?;
        change(&mut wishes);
        let text = serde_json::to_string(&wishes).expect("a struct of texts has a JSON form");
        atomic_write(&dir, FILE, text.as_bytes(), 0o600)?;
        Ok(wishes)
    }

    /// Asks what is under way to stop. `false`: nothing is.
    pub(crate) fn abort(&self) -> Result<bool> {
        let dir = Dir::create_all(&self.storage.path, 0o700)?;
        let lock = LockFile::try_acquire(&dir, crate::store::LOCK, LockMode::Exclusive)?;
        if lock.is_some() {
            return Ok(false);
        }
        atomic_write(&dir, ABORT, b"", 0o600)?;
        Ok(true)
    }

    /// Forgets an order to stop that nobody followed: whoever begins now was not meant.
    pub(crate) fn forget_abort(&self) -> Result<()> {
        Dir::open(&self.storage.path)?.try_unlink(ABORT)?;
        Ok(())
    }

    fn abort_file(&self) -> PathBuf {
        self.storage.path.join(ABORT)
    }
}

/// Names an update among others: the assignment, and what it assigns to the primary.
pub(crate) fn name_of(update: &Update) -> String {
    format!("{} {}", update.correlation_id, update.sha256)
}

/// The update that waits for a word.
pub(crate) fn offered(storage: &Storage) -> Result<Update> {
    let store = Store::open_to_read(storage)?;
    let update = store.map(|store| store.update()).transpose()?.flatten();
    update.ok_or(Error::NothingFetched)
}

/// The gate of all work: closed while the agent is paused, and an exit when it is to be aborted.
pub(crate) struct ControlGate {
    control: Control,
    looked: Mutex<Option<Instant>>,
    paused: AtomicBool,
    aborted: AtomicBool,
    progress: Arc<dyn Progress>,
    clock: Arc<dyn Clock>,
    pulse: Pulse,
}

impl ControlGate {
    pub(crate) fn new(
        storage: &Storage,
        progress: Arc<dyn Progress>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            control: Control::new(storage),
            looked: Mutex::new(None),
            paused: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            progress,
            clock,
            pulse: Pulse::default(),
        }
    }

    /// The same for a service, whose pauses are no silence.
    pub(crate) fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// Whether it was aborted; asked once, it is forgotten, and work may begin anew.
    pub(crate) fn take_abort(&self) -> bool {
        let aborted = self.aborted.swap(false, Ordering::AcqRel);
        if aborted {
            // Left behind it would stop the next work as well.
            if let Err(error) = std::fs::remove_file(self.control.abort_file()) {
                tracing::warn!(%error, "the order to stop cannot be removed");
            }
        }
        aborted
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|at| at.elapsed() < NOTICE) {
            return false;
        }
        *looked = Some(Instant::now());
        true
    }

    fn look(&self) {
        if self.control.abort_file().exists() {
            self.aborted.store(true, Ordering::Release);
        }
        let paused = self.control.wishes().is_ok_and(|wishes| wishes.paused);
        if self.paused.swap(paused, Ordering::AcqRel) != paused {
            let words = if paused { "paused; go on with `updraftd resume`" } else { "going on" };
            self.progress.report(&Event::Message(words.to_owned()));
            if let Err(error) = self.tell(paused) {
                tracing::warn!(%error, "the server is not told of the pause");
            }
        }
    }

    /// The work under way holds the one connection to the state; this is a second.
    fn tell(&self, paused: bool) -> Result<()> {
        let Some(store) = Store::open_to_read(&self.control.storage)? else { return Ok(()) };
        let Some(update) = store.update()? else { return Ok(()) };
        let event = events::of_device(paused, &update.correlation_id, self.clock.now());
        store.queue_events(&[event])
    }
}

impl Gate for ControlGate {
    fn is_open(&self, cancel: &CancelToken) -> Result<bool, Cancelled> {
        cancel.check()?;
        if self.is_due() {
            self.look();
        }
        if self.aborted.load(Ordering::Acquire) {
            return Err(Cancelled);
        }
        let is_paused = self.paused.load(Ordering::Acquire);
        if is_paused {
            // Whoever waits for a word of people does not hang.
            self.pulse.beat();
        }
        Ok(!is_paused)
    }
}
