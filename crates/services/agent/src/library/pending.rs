//! Receipts for work that was asked for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use updraft_task::Cancelled;

use crate::Result;

/// The result of work that is done elsewhere. Dropping it changes nothing.
#[derive(Debug)]

pub struct Pending<T>(Receiver<Result<T>>);

impl<T> Pending<T> {
    pub(super) fn new() -> (Self, Sender<Result<T>>) {
        let (sender, receiver) = channel();
        (Self(receiver), sender)
    }

    /// Waits for the result.
    pub fn wait(self) -> Result<T> {
        self.0.recv().unwrap_or_else(|_| Err(Cancelled.into()))
    }

    /// Waits for the result, but not longer than this. `None`: it is not there yet.
    pub fn wait_for(&self, patience: Duration) -> Option<Result<T>> {
        match self.0.recv_timeout(patience) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(Cancelled.into())),
        }
    }
}
