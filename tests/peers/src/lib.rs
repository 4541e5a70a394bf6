//! Real servers beside ours, started for a test and stopped after it.

mod postgres;

pub use postgres::{Postgres, PostgresDatabase};
