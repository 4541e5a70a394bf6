//! Programs that belong to an update. In a process of their own: a program that is being started holds
//! for a moment the locks of all that runs beside it in this process.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../engine/device.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod device;
#[path = "../payloads/make.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod make;
mod programs;
