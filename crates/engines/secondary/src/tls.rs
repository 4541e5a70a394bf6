//! TLS between a primary and secondaries of ours: both show a certificate of one authority.
//!
//! aktualizr's protocol has no TLS; this is an extension that both ends have to be told of.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::{Error, Result};

/// Certificates and a key, each PEM.
#[derive(Clone)]
pub struct TlsFiles {
    /// The authority that the other end's certificate has to come from.
    pub ca_pem: Vec<u8>,
    /// The own certificate, with its issuers if there are any.
    pub certificate_pem: Vec<u8>,
    /// The own private key.
    pub private_key_pem: Vec<u8>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles").finish_non_exhaustive()
    }
}

/// What a primary shows, and whom it expects.
#[derive(Debug, Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl ClientTls {
    /// Expects a secondary whose certificate is for `name`: a DNS name or an IP address.
    pub fn new(files: &TlsFiles, name: &str) -> Result<Self> {
        let provider = updraft_crypto::tls::provider();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots(files)?.into(), provider.clone())
                .build()
                .map_err(|error| unusable("the authority", error))?;
        let (chain, key) = identity(files)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("its versions", error))?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable("the certificate and its key", error))?;
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| unusable("the secondary's name", error))?;
        Ok(Self { config: Arc::new(config), name })
    }
}

/// The configuration of a secondary, which demands a certificate of the primary.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>> {
    let provider = updraft_crypto::tls::provider();
    let clients =
        WebPkiClientVerifier::builder_with_provider(roots(files)?.into(), provider.clone())
            .build()
            .map_err(|error| unusable("the authority", error))?;
    let (chain, key) = identity(files)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("its versions", error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| unusable("the certificate and its key", error))?;
    Ok(Arc::new(config))
}

fn roots(files: &TlsFiles) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca_pem, "the authority")? {
        roots.add(certificate).map_err(|error| unusable("the authority", error))?;
    }
    Ok(roots)
}

fn identity(files: &TlsFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(&files.certificate_pem, "the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&files.private_key_pem)
        .map_err(|error| unusable("the private key", error))?;
    Ok((chain, key))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| unusable(what, error))?;
    if certificates.is_empty() {
        return Err(unusable(what, "there is no certificate in it"));
    }
    Ok(certificates)
}

#[allow(clippy::needless_pass_by_value, reason = "callers give errors away")]
fn unusable(what: &str, problem: impl ToString) -> Error {
    Error::Tls { what: what.to_owned(), problem: problem.to_string() }
}
