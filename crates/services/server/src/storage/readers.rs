//! The connections that read: a few, which are lent and given back.
//!
//! Opening one costs far more than most reads: SQLite reads its schema, PostgreSQL starts a process.
//! So whoever finds all of them lent waits for one, but not for long: those who have them may be
//! slow, or may themselves wait for something that this one would do.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::sql::Connection;
use super::{Place, lock};
use crate::error::Result;

/// How long somebody waits for a connection before one more is opened.
const PATIENCE: Duration = Duration::from_millis(200);

/// The connections that read.
#[derive(Debug)]
pub(super) struct Readers {
    state: Mutex<State>,
    given_back: Condvar,
    /// How many there are, but for those that were opened when it took too long.
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
    /// How many wait for one.
    waiting: usize,
}

/// A connection that is given back when this is dropped, unless it was cut.
#[derive(Debug)]
pub(super) struct Lent<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), given_back: Condvar::new(), most }
    }

    /// Whether one can be lent without waiting.
    pub(super) fn has_one(&self) -> bool {
        !self.are_all_lent(&lock(&self.state))
    }

    fn are_all_lent(&self, state: &State) -> bool {
        state.idle.is_empty() && state.lent >= self.most
    }

    /// Lends a connection; where none is idle there is none in it yet.
    pub(super) fn lend(&self) -> Lent<'_> {
        let mut state = lock(&self.state);
        if self.are_all_lent(&state) {
            state.waiting += 1;
            let all_lent = |state: &mut State| self.are_all_lent(state);
            (state, _) = self
                .given_back
                .wait_timeout_while(state, PATIENCE, all_lent)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.lent += 1;
        Lent { readers: self, connection: state.idle.pop() }
    }
}

impl Lent<'_> {
    /// The connection, opened where there is none or it was cut.
    pub(super) fn open(&mut self, place: &Place) -> Result<&Connection> {
        let usable = self.connection.take().filter(|connection| !connection.is_lost());
        Ok(self.connection.insert(match usable {
            Some(connection) => connection,
            None => place.reader()?,
        }))
    }

    /// Whether it was cut.
    pub(super) fn is_lost(&self) -> bool {
        self.connection.as_ref().is_none_or(Connection::is_lost)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|connection| !connection.is_lost());
        let mut state = lock(&self.readers.state);
        state.lent = state.lent.saturating_sub(1);
        // One too many is closed after the lock is free.
        let surplus = match connection {
            Some(connection) if state.idle.len() < self.readers.most => {
                state.idle.push(connection);
                None
            }
            other => other,
        };
        let waiting = state.waiting;
        drop(state);
        // To wake nobody would be a system call, too.
        if waiting > 0 {
            self.readers.given_back.notify_one();
        }
        drop(surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::Readers;
    use crate::storage::{Place, sqlite};
    use rusqlite::OpenFlags;

    #[test]
    fn connections_are_lent_again_and_nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        drop(sqlite::open_writer(&path, OpenFlags::SQLITE_OPEN_CREATE).unwrap());
        let (readers, place) = (Readers::new(1), Place::File(path));
        let mut first = readers.lend();
        assert!(first.connection.is_none(), "none was opened yet");
        assert!(!readers.has_one());
        first.open(&place).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| readers.lend().connection.is_some());
            drop(first);
            assert!(second.join().unwrap(), "the one that was given back");
        });

        let held = readers.lend();
        let mut another = readers.lend();
        another.open(&place).unwrap();
        drop((held, another));
        let state = readers.state.lock().unwrap();
        assert_eq!((state.lent, state.idle.len()), (0, 1));
    }
}
