//! How a server gets to its PostgreSQL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::NoTls;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::Link;
use crate::error::{Error, Result};
use crate::storage::sql;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// What each connection is told first. A server that stops in the middle of a transaction, or
/// whose network does, must not keep the others from writing.
const SETTINGS: &str = "SET idle_in_transaction_session_timeout = '30s';
     SET lock_timeout = '60s'; SET statement_timeout = '120s'; SET search_path TO updraft";

/// Where a PostgreSQL is, and how it is recognised.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    place: String,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// Reads a connection string (`postgresql://USER@HOST:PORT/NAME`, or `host=/run/postgresql
    /// dbname=NAME`), beside which lie the password and the certificate authority. A password in
    /// the string is refused, since strings are shown; so is a network without TLS, unless the
    /// string says `sslmode=disable`.
    pub fn new(url: &str, password: Option<&[u8]>, ca: Option<(PathBuf, &[u8])>) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid("database.url", reason);
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| invalid(&with_cause(&error)))?;
        if config.get_password().is_some() {
            return Err(invalid(
                "it has a password: put that into the file `database.password_file`",
            ));
        }
        if config.get_dbname().is_none() {
            return Err(invalid("it names no database, such as postgresql://host/updraft"));
        }
        let network = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)))
            || !config.get_hostaddrs().is_empty();
        let wants_none = config.get_ssl_mode() == SslMode::Disable;
        if network && !wants_none && ca.is_none() {
            return Err(invalid(
                "it leads through a network: name the certificate authority of the database server \
                 in `database.ca`, or say sslmode=disable where the network is protected otherwise",
            ));
        }
        let place = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "this machine".to_owned(),
        };
        let place = format!("{} at {place}", config.get_dbname().unwrap_or_default());
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name("updraft-server").connect_timeout(CONNECT);
        config.keepalives_idle(Duration::from_secs(30));
        let tls = match ca {
            Some(ca) if network && !wants_none => {
                config.ssl_mode(SslMode::Require);
                Some(believing(&ca)?)
            }
            _ => None,
        };
        Ok(Self { config, tls, place })
    }

    /// Which database where, for people.
    pub fn place(&self) -> &str {
        &self.place
    }
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

fn believing((path, pem): &(PathBuf, &[u8])) -> Result<MakeRustlsConnect> {
    let invalid =
        |reason: String| Error::invalid("database.ca", format!("{}: {reason}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("it has no certificates".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Connects.
pub(super) fn connect(options: &PostgresOptions) -> sql::Result<Link> {
    let link = match &options.tls {
        Some(tls) => Link::connect(&options.config, tls.clone())?,
        None => Link::connect(&options.config, NoTls)?,
    };
    link.wait(link.client()?.batch_execute(SETTINGS))?;
    Ok(link)
}
