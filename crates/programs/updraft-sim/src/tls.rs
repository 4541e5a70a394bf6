//! TLS of the virtual devices: whom they trust, and who they are.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use updraft_crypto::Identity;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// How many sessions a device remembers: those of one server.
const SESSIONS: usize = 2;

/// Whether a handshake may go on from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Handshakes {
    /// It may, as real clients do.
    Resumed,
    /// It may not: each is a whole one.
    Full,
}

/// What a device opens TLS with. Whose keys it has is not printed.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// The authorities in a PEM text.
pub(crate) fn roots(pem: &str) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| Failure::of(Kind::Invalid, error))?;
        roots.add(certificate).map_err(|error| Failure::of(Kind::Invalid, error))?;
    }
    if roots.is_empty() {
        return Err(Failure::new(Kind::Invalid, "there is no certificate in the authority's file"));
    }
    Ok(Arc::new(roots))
}

/// What a device opens TLS with.
pub(crate) fn connector(
    roots: &Arc<RootCertStore>,
    identity: Option<&Identity>,
    handshakes: Handshakes,
) -> Result<Connector> {
    let invalid = |error: rustls::Error| Failure::of(Kind::Invalid, error);
    let builder = ClientConfig::builder_with_provider(updraft_crypto::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let unreadable = |error| Failure::of(Kind::Invalid, error);
            let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(unreadable)?;
            let key = PrivateKeyDer::from_pem_slice(identity.private_key_pem.as_bytes())
                .map_err(unreadable)?;
            builder.with_client_auth_cert(chain, key).map_err(invalid)?
        }
    };
    config.resumption = match handshakes {
        Handshakes::Resumed => Resumption::in_memory_sessions(SESSIONS),
        Handshakes::Full => Resumption::disabled(),
    };
    Ok(Connector(TlsConnector::from(Arc::new(config))))
}
