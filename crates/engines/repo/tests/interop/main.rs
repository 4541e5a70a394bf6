//! Every way a commit can go between this crate and the real `ostree`: who wrote it, who reads it,
//! from and into which mode of repository, over HTTP or from a folder, signed or not, as objects
//! or as a static delta. Whatever the way, the same bits must arrive.
//!
//! Needs root, GnuPG and Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod cell;
mod check;
mod keys;
mod ours;
mod peer;
mod source;
mod tree;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cell::Cell;
use source::Sources;

/// Runs all cells on all processors and gives what went wrong.
fn run(cells: &[Cell], sources: &Sources) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(reason) = check::check(cell, sources) {
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(format!("{cell}: {reason}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn whoever_writes_and_whoever_reads_the_same_bits_arrive() {
    let sources = Sources::new();
    let cells = Cell::all();
    assert_eq!(cells.len(), 176);
    let failures = run(&cells, &sources);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cells.len(), failures.join("\n"));
}
