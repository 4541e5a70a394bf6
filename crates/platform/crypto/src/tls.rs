//! X.509 certificates for mutual TLS: a small certificate authority, and identities.
//!
//! The authority's key signs server certificates and device certificates. A device is known by
//! the common name of its certificate; nothing else of a certificate request is taken over.

mod authority;
mod check;
mod identity;

use std::sync::Arc;

pub use authority::{CertificateAuthority, Validity};
pub use check::{check_client_certificate, server_names};
pub use identity::{
    CertificateInfo, Identity, certificate_info, certificate_request, certificate_request_for,
    is_for_key, is_for_request,
};

/// Makes aws-lc the process's provider of TLS. Call it once, at a program's start; again is fine.
pub fn install_tls_provider() {
    // An error only says that a provider is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// The one TLS provider, for building configurations without the process default.
#[must_use]
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
