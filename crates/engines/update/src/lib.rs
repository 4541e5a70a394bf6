//! The update engine: what stands between sources, which know what a device should run, and
//! installers, which put it in place.
//!
//! ```text
//! Source ── Verified<Target> ──► plan(intended, observed) ──► Plan ──► execute ──► Outcome
//!                                     ▲                                  │  ▲
//!                             Installer::observe               Installer, Journal
//! ```
//!
//! * [`plan()`](plan::plan) is a pure function. Its [`Plan`] leaves no choice to the executor,
//!   and can be shown instead of carried out.
//! * A [`Step`] is idempotent: `check`, `run`, `verify`, `undo`. [`steps`] makes those of a plan
//!   out of an [`Installer`].
//! * The [`Journal`] holds one [`Record`]: the plan and how far it has come. Whatever happens,
//!   [`Engine`] continues from it: forward, or backward once a step failed for good.
//!
//! Several components (the system, apps, firmware, other controllers) of one assignment are one
//! transaction: all of them go forward, or all come back.

mod error;
mod image;

pub mod plan;
mod record;
mod seams;

pub mod steps;

mod engine;
mod execute;
mod journal;

pub use engine::{Engine, Outcome};
pub use error::{Error, Failure, StepError};
pub use image::{Component, Digest, Image};
pub use journal::{Journal, MemoryJournal};
pub use plan::{Action, ActionKind, Decision, Intended, Observed, Plan, plan};
pub use record::{Direction, FORMAT_VERSION, Finished, Record};
pub use seams::{Assignment, Effect, Health, Host, Installer, Observation, Source};
pub use steps::{Flow, Step};
