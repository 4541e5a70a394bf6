//! What went wrong last, in each thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// A failure, in words.
pub(crate) type Failure = String;

/// What went wrong in the last function that failed in this thread; empty before the first. It is
/// valid until the next function fails in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn updraft_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ptr())
}

/// The agent's error with its causes and its way out, on one line.
pub(crate) fn told(error: &updraft_agent::Error) -> Failure {
    let mut text = format!("failed to {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let _ = write!(text, ": {source}");
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, " (hint: {hint})");
    }
    text
}

/// Does the work of a function; a failure is kept for [`updraft_last_error`].
pub(crate) fn work<T>(work: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
    // After a panic nothing is looked at again but what locks guard.
    let done = catch_unwind(AssertUnwindSafe(work));
    let failure = match done {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(failure)) => failure,
        Err(_) => "a defect of the agent: it panicked".to_owned(),
    };
    let text = CString::new(failure.replace('\0', " ")).unwrap_or_default();
    LAST.with_borrow_mut(|last| *last = text);
    None
}

/// The same for functions that return `int`.
pub(crate) fn status(done: impl FnOnce() -> Result<(), Failure>) -> c_int {
    if work(done).is_some() { 0 } else { -1 }
}
