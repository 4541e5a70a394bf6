//! Opening databases of PostgreSQL.

use crate::error::{Error, Result};
use crate::storage::sql::{Connection, PostgresOptions};

/// A connection.
pub(super) fn open(options: &PostgresOptions) -> Result<Connection> {
    Connection::postgres(options).map_err(|source| Error::DatabaseServer {
        place: options.place().to_owned(),
        reason: None,
        source: Some(source),
    })
}
