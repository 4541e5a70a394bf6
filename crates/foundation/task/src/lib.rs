//! Long work that people watch and may stop: a [`CancelToken`] and a [`Progress`] sink.
//!
//! Engines are synchronous. They take a [`Context`] as their first argument, look at its token
//! between steps, and tell its sink what they do. Neither touches a terminal; programs decide
//! what a person sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use updraft_error::{Classify, Kind};

/// The work was stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Classify for Cancelled {
    fn kind(&self) -> Kind {
        Kind::Cancelled
    }
}

/// Asks running work to stop at its next safe point. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all holders of this token to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// `Err(Cancelled)` once somebody asked to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// What the numbers of an [`Event`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things: objects, files, steps.
    Items,
}

/// One message from running work to whoever watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A phase begins. `total` is absent while it is not known.
    Started {
        /// A short verb phrase, such as `fetching objects`.
        phase: &'static str,
        /// How much there is to do, in `unit`.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// The phase has come this far. Values never go down within a phase; `total` may grow.
    Advanced {
        /// The phase this belongs to.
        phase: &'static str,
        /// How much is done.
        done: u64,
        /// How much there is to do, when known.
        total: Option<u64>,
    },
    /// The phase is over.
    Finished {
        /// The phase this belongs to.
        phase: &'static str,
    },
    /// Something worth a line for a person.
    Message(String),
}

/// Receives [`Event`]s. Called from several threads; must return quickly.
pub trait Progress: Send + Sync {
    /// Takes one event.
    fn report(&self, event: &Event);
}

/// Ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: &Event) {}
}

/// How often a gate that is shut is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Holds work up: somebody paused it. Called from several threads, and often.
pub trait Gate: Send + Sync {
    /// Whether the work may go on now; fails when it shall stop instead. `cancel` is the work's own
    /// token.
    fn is_open(&self, cancel: &CancelToken) -> Result<bool, Cancelled>;

    /// Returns when the work may go on, at once if nothing holds it up; fails when it shall stop
    /// instead.
    fn pass(&self, cancel: &CancelToken) -> Result<(), Cancelled> {
        while !self.is_open(cancel)? {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// What every piece of long work is given.
#[derive(Clone)]
pub struct Context {
    /// Looked at between steps.
    pub cancel: CancelToken,
    /// Told about each step.
    pub progress: Arc<dyn Progress>,
    gate: Option<Arc<dyn Gate>>,
}

impl Context {
    /// A context whose work nobody watches and nobody stops.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(CancelToken::new(), Arc::new(Silent))
    }

    /// A context with this token and sink.
    #[must_use]
    pub fn new(cancel: CancelToken, progress: Arc<dyn Progress>) -> Self {
        Self { cancel, progress, gate: None }
    }

    /// The same, whose work also passes this gate between steps.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The same, which tells somebody else about its steps.
    #[must_use]
    pub fn with_progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// `Err(Cancelled)` once somebody asked to stop. Takes as long as somebody holds the work up.
    pub fn check(&self) -> Result<(), Cancelled> {
        self.cancel.check()?;
        self.gate.as_ref().map_or(Ok(()), |gate| gate.pass(&self.cancel))
    }

    /// Whether the work may go on now, for work that has more to do than to wait when it may not.
    /// `Err(Cancelled)` once somebody asked to stop.
    pub fn is_open(&self) -> Result<bool, Cancelled> {
        self.cancel.check()?;
        self.gate.as_ref().map_or(Ok(true), |gate| gate.is_open(&self.cancel))
    }

    /// Tells the sink one event.
    pub fn report(&self, event: &Event) {
        self.progress.report(event);
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
