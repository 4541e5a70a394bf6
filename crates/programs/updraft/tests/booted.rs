//! Commands about the system that runs, on a machine that runs from a deployment, beside the real
//! `ostree`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "booted/early.rs"]
mod early;
#[path = "booted/machine.rs"]
mod machine;
#[path = "booted/room.rs"]
mod room;
#[path = "booted/staged.rs"]
mod staged;
#[path = "booted/unlock.rs"]
mod unlock;
