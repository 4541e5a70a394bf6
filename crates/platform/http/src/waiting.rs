//! Waits that end when the work they belong to is cancelled.
//!
//! ureq waits on the thread that called it, and connections outlive requests. So whose wait it is
//! is known by the thread: [`within`] says it, and what waits looks often whether to go on.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use updraft_task::Context;

/// Cancellation is noticed within this time.
pub(crate) const SLICE: Duration = Duration::from_millis(250);

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Puts back what was before, also when what was called panics.
struct Before(Option<Context>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.with(|current| current.replace(self.0.take()));
    }
}

/// Does `work`, whose waits on this thread belong to `ctx`.
pub(crate) fn within<T>(ctx: &Context, work: impl FnOnce() -> T) -> T {
    let _before = Before(CURRENT.with(|current| current.replace(Some(ctx.clone()))));
    work()
}

/// Fails once the work that this thread waits for was cancelled.
pub(crate) fn go_on() -> io::Result<()> {
    // Not borrowed while it is asked: who holds the work up may make requests, too.
    let ctx = CURRENT.with(|current| current.borrow().clone());
    // A pause is not for a wait that is under way: what comes can be kept.
    ctx.map_or(Ok(()), |ctx| ctx.is_open().map(|_| ()).map_err(io::Error::other))
}

/// Does what cannot be waited for in pieces. When it is cancelled it is left to its own end,
/// which its timeouts bring.
pub(crate) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ureq::Error> + Send + 'static,
) -> Result<T, ureq::Error> {
    let (done, waiting) = channel();
    // Nobody may wait any more.
    std::thread::Builder::new().name("connect".to_owned()).spawn(move || done.send(work()))?;
    loop {
        match waiting.recv_timeout(SLICE) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => go_on()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the thread that connects ended early").into());
            }
        }
    }
}
