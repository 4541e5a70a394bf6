//! What a client trusts, and who it is: certificates, keys, and keys that somebody else holds.
//!
//! ureq takes a private key as bytes only. For one that is in a token, the bytes are a ticket: our
//! [`KeyProvider`] gives the key for it that was left with [`leave`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use crate::client::bad_option;
use crate::options::SYSTEM_CERTIFICATES;
use crate::{ClientOptions, Identity, Result, TokenIdentity};

pub(crate) fn tls_config(options: &ClientOptions) -> Result<TlsConfig> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let roots = match &options.ca_pem {
        Some(pem) => certificates(pem, "the trusted certificates")?,
        // Without the system's certificates plain HTTP still works, and HTTPS fails clearly.
        None => std::fs::read(SYSTEM_CERTIFICATES)
            .map_or_else(|_| Ok(Vec::new()), |pem| certificates(&pem, SYSTEM_CERTIFICATES))?,
    };
    let (provider, client_cert) = match (&options.token_identity, &options.identity) {
        (Some(identity), _) => {
            let cert = token_certificate(identity)?;
            (CryptoProvider { key_provider: &Tickets, ..provider }, Some(cert))
        }
        (None, identity) => {
            let certificate = |identity| client_certificate(identity, &provider);
            let cert = identity.as_ref().map(certificate).transpose()?;
            (provider, cert)
        }
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(client_cert)
        .disable_verification(options.any_certificate)
        .build())
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| bad_option(what, error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(bad_option(what, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn client_certificate(identity: &Identity, provider: &CryptoProvider) -> Result<ClientCert> {
    let chain = certificates(&identity.certificate_pem, "the client certificate")?;
    let bad_key = "the client's private key";
    let key = PrivateKey::from_pem(&identity.private_key_pem)
        .map_err(|error| bad_option(bad_key, error))?;
    // ureq takes for granted that the two belong together.
    let der = PrivateKeyDer::from_pem_slice(&identity.private_key_pem)
        .map_err(|error| bad_option(bad_key, error))?;
    let key_of_provider = provider.key_provider.load_private_key(der);
    check_pair(&chain, key_of_provider.map_err(|error| bad_option(bad_key, error))?)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn token_certificate(identity: &TokenIdentity) -> Result<ClientCert> {
    let chain = certificates(&identity.certificate_pem, "the client certificate")?;
    check_pair(&chain, Arc::clone(&identity.key))?;
    let ticket = STANDARD.encode(leave(&identity.key).to_be_bytes());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{ticket}\n-----END PRIVATE KEY-----\n");
    let key = PrivateKey::from_pem(pem.as_bytes())
        .map_err(|error| bad_option("the client's private key", error))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn check_pair(chain: &[Certificate<'static>], key: Arc<dyn SigningKey>) -> Result<()> {
    let chain = chain.iter().map(|one| CertificateDer::from(one.der()).into_owned()).collect();
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(error) => Err(bad_option("the client certificate with its private key", error)),
    }
}

/// Keys that were left, with their tickets. They live as long as the client that they belong to.
static LEFT: Mutex<Vec<(u64, Weak<dyn SigningKey>)>> = Mutex::new(Vec::new());

/// Leaves a key; the ticket fetches it.
fn leave(key: &Arc<dyn SigningKey>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|(_, key)| key.strong_count() > 0);
    left.push((ticket, Arc::downgrade(key)));
    ticket
}

/// Gives keys for tickets.
#[derive(Debug)]
struct Tickets;

impl KeyProvider for Tickets {
    fn load_private_key(
        &self,
        key: PrivateKeyDer<'static>,
    ) -> std::result::Result<Arc<dyn SigningKey>, rustls::Error> {
        let ticket = <[u8; 8]>::try_from(key.secret_der()).map(u64::from_be_bytes).ok();
        let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        let found = left.iter().find(|(number, _)| Some(*number) == ticket);
        let key = found.and_then(|(_, key)| key.upgrade());
        key.ok_or_else(|| rustls::Error::General("the key of the token is gone".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::KeyProvider as _;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::sign::SigningKey;
    use std::sync::Arc;

    use super::{Tickets, leave};

    #[derive(Debug)]
    struct Nothing;

    impl SigningKey for Nothing {
        fn choose_scheme(
            &self,
            _: &[rustls::SignatureScheme],
        ) -> Option<Box<dyn rustls::sign::Signer>> {
            None
        }

        fn algorithm(&self) -> rustls::SignatureAlgorithm {
            rustls::SignatureAlgorithm::ED25519
        }
    }

    #[test]
    fn a_ticket_fetches_its_key_while_somebody_has_it() {
        let key: Arc<dyn SigningKey> = Arc::new(Nothing);
        let ticket = leave(&key).to_be_bytes().to_vec();
        let fetch = || Tickets.load_private_key(PrivatePkcs8KeyDer::from(ticket.clone()).into());
        assert!(Arc::ptr_eq(&fetch().unwrap(), &key));
        drop(key);
        assert!(fetch().is_err());
    }
}
