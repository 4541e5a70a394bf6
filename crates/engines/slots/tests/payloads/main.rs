//! Payloads that are applied: Google's samples, every kind of operation, attacks, power cuts.

#![allow(clippy::disallowed_methods, reason = "tests write files and read their environment")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attacks;
mod generated;
mod kinds;
mod make;
mod packages;
mod puff;
mod resume;
mod samples;
mod verity;
