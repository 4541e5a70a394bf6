//! The rollout planner: which devices are told to run a release, when, and when to stop.
//!
//! Two pure functions. [`allocate`] divides a rollout's devices into phases, once, when it is
//! created. [`plan`] looks at where a rollout stands and says what to do next; the server runs it
//! again and again, applies the [`Action`]s in one transaction, and gets an empty list when there
//! is nothing to do. Neither reads a clock, a database or a random number.
//!
//! Invariants, held by property tests:
//! - a device is assigned at most once per rollout, and only in a phase that has begun;
//! - phases begin in order and never go back;
//! - applying a plan and planning again gives nothing (a fixed point);
//! - a rollout whose devices all end, ends itself.

pub mod allocate;
pub mod error;
pub mod model;
pub mod plan;
pub mod tally;

pub use allocate::{Selector, allocate};
pub use error::{Error, Result};
pub use model::{
    Action, Availability, Member, Progress, Rollout, SkipReason, State, StopReason, Threshold,
};
pub use plan::{plan, stop};
pub use tally::{Tally, Verdict};
