//! aktualizr-lite's names, against real repositories: what it prints, ends with and does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod bundles;
mod moved;
mod site;
mod tuf;
mod updates;
