//! Running other programs: one place that bounds, captures, logs and ends them.
//!
//! A [`Command`] runs in a process group of its own. It is killed with all its children when its
//! time is over, when the work is cancelled, or when it is dropped half-way. What it prints is
//! kept up to a limit; the rest is read and thrown away, so that it never blocks on a full pipe.
//!
//! A [`Partner`] is a program that is talked to for as long as it is needed.

mod capture;
mod command;
mod error;
mod memory;
mod partner;

pub use capture::Captured;
pub use command::{Command, Finished};
pub use error::{Error, Result};
pub use memory::{return_free_memory, return_large_blocks};
pub use partner::Partner;
