//! What devices and scripts of the hawkBit world say and hear: the messages of the Direct Device
//! Integration API, RSQL queries, polling times, and maintenance windows.
//!
//! Text in, types out, and back: no I/O, no clock, no chance. Sources: Eclipse hawkBit's
//! documentation of its DDI and Management APIs, and the behaviour of its clients.

pub mod ddi;
mod error;
pub mod management;
mod polling;
mod rsql;
mod schedule;
mod window;

pub use error::{Error, Result};
pub use polling::{Interval, PollingTime, TooLong};
pub use rsql::{Comparison, Operator, Query};
pub use schedule::Schedule;
pub use window::MaintenanceWindow;
