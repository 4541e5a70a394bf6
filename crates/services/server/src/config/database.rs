//! `[database]`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fleet;
use crate::layout::Layout;
use crate::storage::sql::{PostgresOptions, TlsWords};

/// Where the server keeps what it knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// A database of PostgreSQL, such as `postgresql://updraft@db.example.com/updraft` or
    /// `host=/run/postgresql dbname=updraft`. Without: SQLite in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file with the password; relative to the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The certificate authority (PEM) that the database server's certificate is from; relative to
    /// the data folder. `sslrootcert` in the URL says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl DatabaseConfig {
    /// How to get to the PostgreSQL; nothing where SQLite is used.
    pub fn postgres(&self, layout: &Layout) -> Result<Option<PostgresOptions>> {
        let Some(url) = &self.url else { return Ok(None) };
        let read = |path: &Path| fleet::read_text(&layout.root().join(path));
        let password = self.password_file.as_deref().map(read).transpose()?;
        let password =
            password.as_deref().map(|text| text.trim_end_matches(['\r', '\n']).as_bytes());
        let TlsWords { rest: url, root } = TlsWords::of(url);
        let ca = match (&self.ca, root.map(PathBuf::from)) {
            (Some(_), Some(_)) => {
                let reason = "it has sslrootcert, and there is database.ca: one of them is enough";
                return Err(Error::invalid("database.url", reason));
            }
            (ca, root) => ca.clone().or(root),
        };
        let ca = match ca {
            Some(path) => {
                let pem = read(&path)?;
                Some((path, pem))
            }
            None => None,
        };
        let ca = ca.as_ref().map(|(path, pem)| (path.clone(), pem.as_bytes()));
        PostgresOptions::new(&url, password, ca).map(Some)
    }

    /// What is wrong with it by itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.url.is_none() && (self.password_file.is_some() || self.ca.is_some()) {
            return Err("database.password_file and database.ca are of use with database.url only"
                .to_owned());
        }
        Ok(())
    }
}

/// Where there is no server's database yet.
pub(crate) fn nothing_there(place: &str) -> Error {
    Error::DatabaseServer {
        place: place.to_owned(),
        reason: Some(
            "it has no server's data; `updraft-server init --database` makes it".to_owned(),
        ),
        source: None,
    }
}
