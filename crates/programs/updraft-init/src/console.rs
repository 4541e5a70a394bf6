//! What is said on the console.
//!
//! Standard error is the console when this program is the init, and the journal when a service of
//! the initramfs runs it. With `quiet` on the kernel's command line only problems are told.

use std::sync::atomic::{AtomicBool, Ordering};

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on tells problems only.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Tells a step.
pub(crate) fn say(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        eprintln!("updraft-init: {text}");
    }
}

/// Tells a problem, even when quiet.
pub(crate) fn complain(text: &str) {
    eprintln!("updraft-init: {text}");
}
