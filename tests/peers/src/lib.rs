//! Real servers beside ours, started for a test and stopped after it.

#![allow(clippy::disallowed_methods, reason = "it sets up what others serve")]

mod postgres;
mod s3;

pub use postgres::{Postgres, PostgresDatabase};
pub use s3::{GARAGE, S3, S3Bucket};
