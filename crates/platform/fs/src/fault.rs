//! A hook for tests: makes the Nth write operation of the current thread fail, or kills the whole
//! process before it.
//!
//! "Fail the Nth operation, for every N" shows that a crash or a full disk at any point leaves a
//! store consistent. Off, it costs one relaxed atomic load per operation.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use rustix::io::Errno;

static ARMED: AtomicUsize = AtomicUsize::new(0);
/// Operations of all threads that still pass before the process dies. Counts on below zero.
static LIVES: AtomicI64 = AtomicI64::new(i64::MAX);

thread_local! {
    static REMAINING: Cell<Option<u64>> = const { Cell::new(None) };
    static KIND: Cell<Fault> = const { Cell::new(Fault::Full) };
}

/// How the operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As on a full disk (`ENOSPC`).
    Full,
    /// As on a broken disk (`EIO`).
    Broken,
    /// As on a read-only file system (`EROFS`).
    ReadOnly,
}

/// While this lives, one operation of this thread, and all after it, fail.
#[derive(Debug)]
#[must_use = "operations fail only while this lives"]
pub struct Injection(());

impl Injection {
    /// Lets `operations` write operations pass, then fails every one with `fault`.
    pub fn after(operations: u64, fault: Fault) -> Self {
        REMAINING.set(Some(operations));
        KIND.set(fault);
        ARMED.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Whether an operation has failed already.
    pub fn has_struck(&self) -> bool {
        REMAINING.get() == Some(0)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        REMAINING.set(None);
        ARMED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets `operations` write operations of all threads pass; before the next, the process dies as
/// by `kill -9`. For the tests of whole programs; there is no way back.
pub fn kill_process_after(operations: u32) {
    LIVES.store(i64::from(operations), Ordering::Relaxed);
    ARMED.fetch_add(1, Ordering::Relaxed);
}

/// Counts as a write operation. Called before every one of this crate, and by others that write
/// without it, such as a database.
///
/// # Errors
/// The injected one.
#[inline]
pub fn check() -> rustix::io::Result<()> {
    if ARMED.load(Ordering::Relaxed) == 0 { Ok(()) } else { strike() }
}

#[cold]
fn strike() -> rustix::io::Result<()> {
    if LIVES.load(Ordering::Relaxed) != i64::MAX && LIVES.fetch_sub(1, Ordering::Relaxed) <= 0 {
        let own = rustix::process::getpid();
        // It cannot fail: a process may always signal itself.
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    }
    match REMAINING.get() {
        None => Ok(()),
        Some(0) => Err(match KIND.get() {
            Fault::Full => Errno::NOSPC,
            Fault::Broken => Errno::IO,
            Fault::ReadOnly => Errno::ROFS,
        }),
        Some(left) => {
            REMAINING.set(Some(left - 1));
            Ok(())
        }
    }
}
