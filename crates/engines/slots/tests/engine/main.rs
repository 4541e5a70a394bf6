//! The life of updates: applied, interrupted, refused, tried, found well, taken back, given up.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod codes;
mod contents;
mod device;
mod interrupted;
mod life;
#[path = "../payloads/make.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod make;
mod network;
