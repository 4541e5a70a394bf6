//! Ctrl-C and `kill`: the first asks running work to stop at its next safe point, the second
//! ends the program at once.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use updraft_task::CancelToken;

/// Cancels `token` on the first SIGINT or SIGTERM; exits with 130 on the second.
///
/// Call once, early in `main`.
pub fn cancel_on_signals(token: CancelToken) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _signal in signals.forever() {
            if token.is_cancelled() {
                std::process::exit(i32::from(updraft_error::Kind::Cancelled.exit_code()));
            }
            token.cancel();
        }
    })?;
    Ok(())
}

/// Cancels `token` on SIGHUP as well, for programs whose peer stops at it.
pub fn cancel_on_hangup(token: CancelToken) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP])?;
    thread::Builder::new().name("hangup".into()).spawn(move || {
        for _signal in signals.forever() {
            token.cancel();
        }
    })?;
    Ok(())
}
