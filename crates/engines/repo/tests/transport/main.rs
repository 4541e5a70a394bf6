//! Pull, push, fsck, prune and summary against the real `ostree`, lying servers and kills.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod peer;
mod world;

mod attacks;
mod care;
mod exchange;
mod mirrors;
mod push;
mod resume;
mod room;
mod rules;
mod signatures;
#[path = "../../../../platform/crypto/tests/token/soft.rs"]
mod soft;
mod token;
