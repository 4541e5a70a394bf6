//! Every kind of file in a repository, damaged in every way, met by every operation: the damage is
//! named, nothing panics or waits for ever, and nothing of it gets into another repository.
//!
//! Needs root, GnuPG, xz and Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod damage;
#[path = "../interop/keys.rs"]
mod keys;
mod ops;
mod tree;
mod victim;

mod beside;
mod deltas;
mod fallbacks;

mod objects;
mod programs;
mod recipes;
mod unsigned;

/// The repository modes.
const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];
