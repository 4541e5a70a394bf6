//! [`Work`]: the one piece of long work that this server does at a time: applying an update, or
//! verifying one before it is switched to. Other processes are kept out by the engine's lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use updraft_slots::{Engine, Result};
use updraft_task::{CancelToken, Context, Silent};

use crate::problem::Problem;

/// The one piece of long work.
#[derive(Default)]
pub(crate) struct Work {
    running: Mutex<Option<Running>>,
    /// How the last one failed.
    failed: Arc<Mutex<Option<Problem>>>,
}

struct Running {
    cancel: CancelToken,
    thread: JoinHandle<()>,
}

impl Work {
    /// Begins a piece of work, unless there is one.
    pub(crate) fn begin(
        &self,
        engine: &Arc<Engine>,
        work: impl FnOnce(&Context, &Engine) -> Result<()> + Send + 'static,
    ) -> Result<(), Problem> {
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(Running::is_running) {
            return Err(Problem::from(&updraft_slots::Error::Busy));
        }
        *lock(&self.failed) = None;
        let cancel = CancelToken::new();
        let context = Context::new(cancel.clone(), Arc::new(Silent));
        let (engine, failed) = (engine.clone(), self.failed.clone());
        let thread = std::thread::Builder::new().name("slots".to_owned()).spawn(move || {
            if let Err(error) = work(&context, &engine) {
                tracing::error!(error = &error as &dyn std::error::Error, "the slots' page failed");
                *lock(&failed) = Some(Problem::from(&error));
            }
        });
        let thread = thread
            .map_err(|error| Problem::new(503, "Busy", format!("failed to begin it: {error}")))?;
        *running = Some(Running { cancel, thread });
        Ok(())
    }

    pub(crate) fn is_running(&self) -> bool {
        lock(&self.running).as_ref().is_some_and(Running::is_running)
    }

    /// How the last piece failed; none when it did not.
    pub(crate) fn failed(&self) -> Option<Problem> {
        lock(&self.failed).clone()
    }

    /// Forgets how the last piece failed.
    pub(crate) fn forget(&self) {
        *lock(&self.failed) = None;
    }

    /// Stops what is done, which can be gone on with, and waits for its end.
    pub(crate) fn stop(&self) {
        if let Some(Running { cancel, thread }) = lock(&self.running).take() {
            cancel.cancel();
            // It failed, and has told so.
            let _ = thread.join();
        }
    }
}

impl Running {
    fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
