//! The rollout planner: which devices are told to run a release, when, and what happens when it goes
//! wrong.
//!
//! Two pure functions. [`allocate`] divides a rollout's devices into phases, once, when it is
//! created. [`plan`] looks at where a rollout stands and says what to do next; the server runs it
//! again and again, applies the [`Action`]s in one transaction, and gets an empty list when there
//! is nothing to do. Neither reads a clock, a database or a random number.
//!
//! Invariants, held by property tests:
//! - a device is assigned at most as often as it has attempts, and only in a phase that has begun;
//! - rate and number of active devices are never exceeded, and nothing is assigned outside of a
//!   window;
//! - phases begin in order and never go back, none before the one before was good enough for as
//!   long as it has to be;
//! - applying a plan and planning again gives nothing (a fixed point);
//! - a rollout whose devices all end, ends itself.

pub mod action;
pub mod allocate;
mod draft;
pub mod error;
pub mod model;
pub mod plan;
pub mod rate;
pub mod tally;
pub mod threshold;
pub mod window;

pub use action::{Action, SkipReason, StopReason, StrandReason};
pub use allocate::{Selector, allocate};
pub use error::{Error, Result};
pub use model::{
    Availability, Health, Member, OnFailure, Phase, Progress, Rollout, State, WayBack,
};
pub use plan::{plan, roll_back, stop};
pub use rate::{Limits, Rate};
pub use tally::{Tally, Verdict};
pub use threshold::Threshold;
pub use window::{Window, Windows, parse_time_zone};
