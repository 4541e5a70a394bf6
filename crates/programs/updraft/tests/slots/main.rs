//! `updraft slots`, as people and scripts call it: on files in place of partitions, with Android's
//! boot control, killed and cut off, by configurations, and from its page.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod configured;
mod life;
mod page;
mod world;
