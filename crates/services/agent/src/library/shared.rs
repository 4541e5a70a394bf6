//! What the handle and its thread share: who listens, what was asked to stop, and the pause.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use updraft_task::{CancelToken, Cancelled, Context, Event, Gate, Progress};

use super::events::{LibraryEvent, Teller};
use crate::Agent;
use crate::control::ControlGate;
use crate::store::Observer;

/// How long it may go unnoticed that paused work was stopped.
const NOTICE: Duration = Duration::from_millis(100);

/// Who may stop what.
#[derive(Default)]
struct Tokens {
    /// The token of all that was asked for since the last abort.
    current: CancelToken,
    /// Whether nothing may begin any more.
    closed: bool,
}

type Handler = Arc<dyn Fn(&LibraryEvent) + Send + Sync>;

pub(super) struct Shared {
    tokens: Mutex<Tokens>,
    paused: Mutex<bool>,
    resumed: Condvar,
    handlers: Mutex<Vec<Handler>>,
    teller: Mutex<Teller>,
    /// What people on the device say.
    pub(super) control: Arc<ControlGate>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared { .. }")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(agent: &Agent) -> Self {
        Self {
            tokens: Mutex::default(),
            paused: Mutex::default(),
            resumed: Condvar::new(),
            handlers: Mutex::default(),
            teller: Mutex::default(),
            control: agent.gate(&Context::silent()),
        }
    }

    /// The context of work that is asked for now.
    pub(super) fn context(self: &Arc<Self>) -> Context {
        let token = lock(&self.tokens).current.clone();
        let progress = Arc::new(Heard(Arc::clone(self)));
        Context::new(token, progress).with_gate(Arc::new(Both(Arc::clone(self))))
    }

    pub(super) fn abort(&self) {
        let mut tokens = lock(&self.tokens);
        tokens.current.cancel();
        if !tokens.closed {
            tokens.current = CancelToken::new();
        }
        drop(tokens);
        self.resume();
    }

    /// Stops what is under way, and lets nothing begin any more.
    pub(super) fn close(&self) {
        lock(&self.tokens).closed = true;
        self.abort();
    }

    /// `false`: it is paused already.
    pub(super) fn pause(&self) -> bool {
        !std::mem::replace(&mut *lock(&self.paused), true)
    }

    /// `false`: it is not paused.
    pub(super) fn resume(&self) -> bool {
        let was_paused = std::mem::replace(&mut *lock(&self.paused), false);
        self.resumed.notify_all();
        was_paused
    }

    pub(super) fn listen(&self, handler: Handler) {
        lock(&self.handlers).push(handler);
    }

    pub(super) fn tell(&self, event: &LibraryEvent) {
        // A handler may call the agent, so it is called without the lock.
        let handlers = lock(&self.handlers).clone();
        for handler in handlers {
            handler(event);
        }
    }

    pub(super) fn tell_all(&self, events: &[LibraryEvent]) {
        for event in events {
            self.tell(event);
        }
    }

    pub(super) fn teller(&self) -> MutexGuard<'_, Teller> {
        lock(&self.teller)
    }
}

/// The progress of work, heard for its percents.
struct Heard(Arc<Shared>);

impl Progress for Heard {
    fn report(&self, event: &Event) {
        if let Event::Advanced { phase, done, total } = event {
            let told = self.0.teller().advance(phase, *done, *total);
            if let Some(event) = told {
                self.0.tell(&event);
            }
        }
    }
}

/// Closed while the program around the agent, or somebody on the device, has paused it.
struct Both(Arc<Shared>);

impl Gate for Both {
    fn is_open(&self, cancel: &CancelToken) -> Result<bool, Cancelled> {
        Ok(!*lock(&self.0.paused) && self.0.control.is_open(cancel)?)
    }

    fn pass(&self, cancel: &CancelToken) -> Result<(), Cancelled> {
        let mut paused = lock(&self.0.paused);
        while *paused {
            cancel.check()?;
            let waited = self.0.resumed.wait_timeout(paused, NOTICE);
            paused = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(paused);
        self.0.control.pass(cancel)
    }
}

/// Where a session tells what happens in it. By default nobody listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Option<Arc<Shared>>);

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Some(Arc::clone(shared)))
    }

    pub(crate) fn tell(&self, event: &LibraryEvent) {
        if let Some(shared) = &self.0 {
            shared.tell(event);
        }
    }

    /// Hears what the server is to be told.
    pub(crate) fn observer(&self) -> Option<Observer> {
        let shared = self.0.clone()?;
        Some(Arc::new(move |update, events: &[String]| {
            for event in events {
                let told = shared.teller().hear(update, event);
                shared.tell_all(&told);
            }
        }))
    }
}
