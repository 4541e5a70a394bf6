//! TLS: the server's certificate, and client certificates of our CA, which are optional here and
//! demanded by the routes that need them.

use std::io::Cursor;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};

use crate::error::{Error, Result};
use crate::fleet::read_text;
use crate::layout::Layout;

/// The TLS configuration of a data folder.
pub(crate) fn configuration(layout: &Layout) -> Result<Arc<ServerConfig>> {
    let provider = updraft_crypto::tls::provider();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read_text(&layout.ca_certificate())?, "tls/ca.pem")? {
        roots.add(certificate).map_err(|error| invalid("tls/ca.pem", error))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| invalid("tls/ca.pem", error))?;
    let chain = certificates(&read_text(&layout.server_certificate())?, "tls/server.pem")?;
    let key = read_text(&layout.server_key())?;
    let key = PrivateKeyDer::from_pem_reader(Cursor::new(key))
        .map_err(|error| invalid("tls/server.key", error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS", error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| invalid("tls/server.pem with tls/server.key", error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Sessions travel with their devices: however many there are, each can go on with its own. One
    // ticket is enough for the one connection that a device opens next.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()
        .map_err(|error| invalid("session tickets", error))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn certificates(pem: &str, name: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_reader_iter(Cursor::new(pem))
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(name, error))?;
    if certificates.is_empty() {
        return Err(invalid(name, "it has no certificate"));
    }
    Ok(certificates)
}

#[allow(clippy::needless_pass_by_value, reason = "callers give errors away")]
fn invalid(name: &'static str, error: impl ToString) -> Error {
    Error::Stored { what: name, reason: error.to_string() }
}
