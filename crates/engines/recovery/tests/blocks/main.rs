//! Block image updates, and power cuts at every write.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod device;
mod make;
mod power_cuts;
mod refusals;
mod super_partition;
