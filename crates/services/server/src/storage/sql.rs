//! One face for both databases: SQLite inside the server, and PostgreSQL beside it.
//!
//! Statements are written once, in the SQL that both understand: `?1` for parameters,
//! `ON CONFLICT`, `RETURNING`, `IS NOT DISTINCT FROM`, `NULLS FIRST`. Where the two have no words in
//! common, [`Connection::dialect`] chooses one of two. Values are of five kinds in both:
//! [`Value`]. What SQLite keeps as an integer, truth included, is `bigint` in PostgreSQL.
//!
//! A [`Connection`] belongs to one thread at a time; [`Transaction`] is what may write.

mod connection;
mod error;
mod parameters;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod value;

pub use connection::{Connection, Dialect, Transaction};
pub use error::{Error, OptionalExtension, Result};
pub(crate) use parameters::params;
pub use parameters::{Parameters, params_from_iter};
pub(super) use postgres::listen;
pub use postgres::{PostgresOptions, TlsWords};
pub use row::Row;
pub use statement::{Rows, Statement};
pub use value::{FromValue, ToValue, Value, ValueRef};
