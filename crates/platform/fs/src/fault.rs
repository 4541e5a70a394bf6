//! A hook for tests: makes the Nth write operation of the current thread fail.
//!
//! "Fail the Nth operation, for every N" shows that a crash or a full disk at any point leaves a
//! store consistent. Off, it costs one relaxed atomic load per operation.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

static ARMED: AtomicUsize = AtomicUsize::new(0);

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

/// Called before every write operation of this crate.
#[inline]
pub(crate) fn check() -> rustix::io::Result<()> {
    if ARMED.load(Ordering::Relaxed) == 0 { Ok(()) } else { strike() }
}

#[cold]
fn strike() -> rustix::io::Result<()> {
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
