//! What benches share: what a program used, lines of results beside their goals, and a web server that
//! is a peer.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock and talks to a terminal"
)]

mod nginx;
mod report;
mod usage;

pub use nginx::{Nginx, NginxOptions};
pub use report::{Goal, Report, median};
pub use usage::{Usage, run, run_within_its_limit};
