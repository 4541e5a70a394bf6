//! The one writer, and how small writes share a commit.
//!
//! ```text
//! one:    BEGIN ─ work ───────────────────────────── waits ─┐
//! two:                    SAVEPOINT ─ work ───────── waits ─┤ answers
//! three:                                 SAVEPOINT ─ work ─ COMMIT
//! ```
//! A commit waits for the disk, and with PostgreSQL for another process. Whoever has done its work
//! while others wait for their turn leaves the transaction open to the next one and waits for the
//! commit that the last one makes. Each has its own savepoint, so what one's error undoes is its own
//! only; each is answered after the commit, so nobody is told of what is not durable. Alone, a write
//! costs what it always did.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::sql::{self, Connection, Transaction};
use super::{Place, audit, lock};
use crate::error::{Error, Result};

/// The most writes that share a commit.
const MOST: usize = 64;

/// The connection that writes, one thread at a time.
#[derive(Debug)]
pub(super) struct Writer {
    turn: Mutex<Turn>,
    /// Threads that wait for their turn in a shared commit.
    waiting: AtomicUsize,
    /// Writes that are durable, or may be: a shared commit counts for each who was in it.
    commits: AtomicU64,
    /// Commits that were not shared.
    lone_commits: AtomicU64,
}

#[derive(Debug)]
struct Turn {
    connection: Connection,
    /// The transaction that is open, with what was done in it.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    group: Arc<Group>,
    /// Writes that were done in it.
    done: usize,
    /// Whether there is a savepoint.
    has_savepoint: bool,
}

/// Those that wait for one commit.
#[derive(Debug, Default)]
struct Group {
    outcome: Mutex<Option<Result<(), Arc<sql::Error>>>>,
    known: Condvar,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        let turn = Turn { connection, open: None };
        let (commits, lone_commits) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { turn: Mutex::new(turn), waiting: AtomicUsize::new(0), commits, lone_commits }
    }

    /// A number that grows with every commit, before anybody is told of it.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// How many commits there were that were not shared.
    pub(super) fn lone_commits(&self) -> u64 {
        self.lone_commits.load(Ordering::Acquire)
    }

    /// Runs one transaction of its own.
    pub(super) fn alone<T>(
        &self,
        place: &Place,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut turn = lock(&self.turn);
        // Whoever is in it came before.
        turn.commit();
        turn.begin(place, action)?;
        let transaction = turn.connection.open_transaction();
        let value = recorded(&transaction, action, work)?;
        // Commit point.
        let committed = transaction.commit();
        // Also when it failed: it may be there all the same.
        self.commits.fetch_add(1, Ordering::AcqRel);
        self.lone_commits.fetch_add(1, Ordering::AcqRel);
        committed.map_err(Error::database(action))?;
        Ok(value)
    }

    /// Runs work in a transaction that others may share, and waits for its commit.
    pub(super) fn together<T>(
        &self,
        place: &Place,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = lock(&self.turn);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let group = turn.join(place, action)?;
        let value = {
            let doing = Doing(&mut turn);
            recorded(&doing.0.connection.joined(), action, work)
        };
        let done = match &value {
            Ok(_) => turn.did(),
            Err(_) => turn.undo(),
        };
        // Whoever waits comes into this transaction, and ends it.
        if done >= MOST || self.waiting.load(Ordering::SeqCst) == 0 {
            turn.commit();
        }
        drop(turn);
        let value = value?;
        let committed = group.wait();
        self.commits.fetch_add(1, Ordering::AcqRel);
        committed.map_err(|error| Error::database(action)(sql::Error::Shared(error)))?;
        Ok(value)
    }
}

/// Does the work, and notes in the audit log what an operator changed by it.
fn recorded<T>(
    transaction: &Transaction<'_>,
    action: &'static str,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let mark = audit::mark(transaction)?;
    let value = match work(transaction) {
        Ok(value) => value,
        Err(error) => {
            transaction.forget_later();
            return Err(error);
        }
    };
    transaction.flush().map_err(Error::database(action))?;
    // No operator's change without its entry in the audit log.
    audit::record(transaction, action, mark)?;
    Ok(value)
}

impl Turn {
    /// Begins a transaction, on a new connection where the old one was cut.
    fn begin(&mut self, place: &Place, action: &'static str) -> Result<()> {
        if self.connection.is_lost() {
            self.connection = place.writer()?;
        }
        let mut begun = self.connection.begin();
        if begun.is_err() && self.connection.is_lost() {
            // It was cut while it was idle: nothing was done yet.
            self.connection = place.writer()?;
            begun = self.connection.begin();
        }
        begun.map_err(Error::database(action))
    }

    /// Goes on in the transaction that is open, or begins one.
    fn join(&mut self, place: &Place, action: &'static str) -> Result<Arc<Group>> {
        if let Some(open) = &mut self.open {
            let savepoint = if open.has_savepoint {
                "RELEASE SAVEPOINT member; SAVEPOINT member"
            } else {
                "SAVEPOINT member"
            };
            match self.connection.batch_ahead(savepoint) {
                Ok(()) => {
                    open.has_savepoint = true;
                    return Ok(Arc::clone(&open.group));
                }
                Err(error) => self.fail(error),
            }
        }
        self.begin(place, action)?;
        let group = Arc::<Group>::default();
        self.open = Some(Open { group: Arc::clone(&group), done: 0, has_savepoint: false });
        Ok(group)
    }

    /// Work was done; how many it is in this transaction.
    fn did(&mut self) -> usize {
        self.open.as_mut().map_or(0, |open| {
            open.done += 1;
            open.done
        })
    }

    /// Undoes what the last one did, and nothing else; how many remain in this transaction.
    fn undo(&mut self) -> usize {
        let Some(open) = &self.open else { return 0 };
        let done = open.done;
        if done == 0 {
            self.fail(sql::Error::Closed);
        } else if let Err(error) = self.connection.batch("ROLLBACK TO SAVEPOINT member") {
            // SQLite has undone all of it for some errors, such as a full disk.
            self.fail(error);
        }
        done
    }

    /// Makes durable what is open.
    fn commit(&mut self) {
        if self.open.is_none() {
            return;
        }
        // Commit point.
        match self.connection.batch("COMMIT") {
            Ok(()) => self.tell(Ok(())),
            Err(error) => self.fail(error),
        }
    }

    /// Undoes what is open, for all who were in it.
    fn fail(&mut self, error: sql::Error) {
        if self.connection.batch("ROLLBACK").is_err() {
            // Where this fails the connection is lost, and with it the transaction.
            tracing::debug!("a transaction could not be rolled back");
        }
        self.tell(Err(Arc::new(error)));
    }

    fn tell(&mut self, outcome: Result<(), Arc<sql::Error>>) {
        if let Some(open) = self.open.take() {
            *open.group.outcome() = Some(outcome);
            open.group.known.notify_all();
        }
    }
}

impl Group {
    fn wait(&self) -> Result<(), Arc<sql::Error>> {
        let mut outcome = self.outcome();
        loop {
            if let Some(known) = &*outcome {
                return known.clone();
            }
            outcome = self.known.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn outcome(&self) -> MutexGuard<'_, Option<Result<(), Arc<sql::Error>>>> {
        lock(&self.outcome)
    }
}

/// Somebody's turn: whoever panics in it leaves nothing half done, and nobody waiting.
struct Doing<'t>(&'t mut Turn);

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(sql::Error::Closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, PoisonError};

    use super::{Connection, Place, Writer};
    use crate::error::Error;
    use crate::storage::sql::params;
    use crate::storage::sqlite;
    use rusqlite::OpenFlags;

    fn writer(path: &std::path::Path) -> (Writer, Place, Connection) {
        let connection = sqlite::open_writer(path, OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        connection.batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        let reader = sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        (Writer::new(connection), Place::File(path.to_owned()), reader)
    }

    #[test]
    fn writes_at_a_time_share_commits_and_an_error_undoes_its_own_only() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, place, reader) = writer(&folder.path().join("db"));
        let count = |reader: &Connection| {
            reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let (begun, refused) = (Barrier::new(40), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..40_i64 {
                let (writer, place, begun, refused) = (&writer, &place, &begun, &refused);
                scope.spawn(move || {
                    begun.wait();
                    let done = writer.together(place, "test", |tx| {
                        tx.execute("INSERT INTO t (n) VALUES (?1)", params![number])
                            .map_err(Error::database("test"))?;
                        std::thread::sleep(std::time::Duration::from_millis(2));
                        if number % 4 == 0 {
                            return Err(Error::not_found("a number", number.to_string()));
                        }
                        Ok(number)
                    });
                    match done {
                        Ok(done) => assert_eq!(done, number),
                        Err(_) => {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!((count(&reader), refused.into_inner()), (30, 10));
        let turn = writer.turn.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(turn.open.is_none(), "nothing is left open");
    }

    #[test]
    fn whoever_panics_leaves_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, place, reader) = writer(&folder.path().join("db"));
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _ = writer.together::<()>(&place, "test", |tx| {
                    tx.execute("INSERT INTO t (n) VALUES (1)", []).expect("inserted");
                    panic!("a defect");
                });
            });
            assert!(panics.join().is_err());
        });
        let insert = |tx: &super::Transaction<'_>| {
            tx.execute("INSERT INTO t (n) VALUES (2)", []).map_err(Error::database("test"))
        };
        assert_eq!(writer.together(&place, "test", insert).unwrap(), 1);
        let only = reader.query_row("SELECT sum(n) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(only.unwrap(), 2);
    }
}
