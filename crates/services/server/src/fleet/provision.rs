//! How a device gets its certificate, and how a caller's certificate is recognised.
//!
//! A certificate is accepted for two reasons only: its hash is that of a device's one current
//! certificate, or of a bootstrap certificate. That the CA signed it is necessary (TLS demands
//! it) but not enough: a deleted device's certificate stays refused even when another device is
//! registered under the same id.

use sha2::{Digest as _, Sha256};
use updraft_api::EventKind;
use updraft_crypto::pkcs12;
use updraft_crypto::tls::{Validity, certificate_info, is_for_request};

use super::Fleet;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::devices;
use crate::storage::events::{self, NewEvent};

/// The certificate that a caller showed, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the DER certificate.
    pub hash: [u8; 32],
    /// The subject's common name.
    pub common_name: Option<String>,
}

impl PeerCertificate {
    /// Reads a DER certificate that TLS has verified.
    pub fn of_der(der: &[u8]) -> Result<Self> {
        let info = certificate_info(der).map_err(Error::crypto("read the caller's certificate"))?;
        Ok(Self { hash: Sha256::digest(der).into(), common_name: info.common_name })
    }
}

/// What a device that registers gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// Certificate, key and CA as PKCS#12 with an empty password.
    Pkcs12(Vec<u8>),
    /// Certificate for the device's own key, and the CA.
    Certificate {
        /// PEM.
        certificate: String,
        /// PEM.
        ca: String,
    },
}

impl Fleet {
    /// The device whose current certificate this is, which only reads. `None`: it is not, or not yet.
    pub fn known_device(&self, peer: &PeerCertificate) -> Result<Option<String>> {
        let Some(id) = peer.common_name.as_deref() else { return Ok(None) };
        let device = self.database.read("find a device", |reader| devices::get(reader, id))?;
        let device = device.filter(|it| it.revoked_at.is_none() && it.certificate == peer.hash);
        Ok(device.map(|device| {
            self.note_seen(&device.id);
            device.id
        }))
    }

    /// The id of the device that shows this certificate.
    pub fn recognise_device(&self, peer: Option<&PeerCertificate>) -> Result<String> {
        let unauthenticated = |reason: &str| Error::Unauthenticated { reason: reason.to_owned() };
        let peer = peer.ok_or_else(|| unauthenticated("no client certificate was shown"))?;
        let id = peer
            .common_name
            .as_deref()
            .ok_or_else(|| unauthenticated("the client certificate has no common name"))?;
        let device = self.database.read("find a device", |reader| devices::get(reader, id))?;
        let refused = |reason: String| Error::Rejected {
            code: "device_not_accepted",
            what: "the client certificate",
            reason,
        };
        match device {
            None => Err(refused(format!("there is no device {}", id.escape_default()))),
            Some(device) if device.revoked_at.is_some() => {
                Err(refused(format!("device {id} was revoked")))
            }
            Some(device)
                if device.certificate != peer.hash && !self.accept_renewed(id, &peer.hash)? =>
            {
                Err(refused(format!("device {id} was given another certificate")))
            }
            Some(device) => {
                self.note_seen(&device.id);
                Ok(device.id)
            }
        }
    }

    /// Refuses a caller that may not register devices.
    pub fn require_bootstrap(&self, peer: Option<&PeerCertificate>) -> Result<()> {
        let peer = peer.ok_or_else(|| Error::Unauthenticated {
            reason: "no client certificate was shown".to_owned(),
        })?;
        let now = self.now();
        let good = self.database.read("find a bootstrap certificate", |reader| {
            devices::is_bootstrap(reader, &peer.hash, now)
        })?;
        if good {
            return Ok(());
        }
        Err(Error::Rejected {
            code: "not_a_bootstrap_certificate",
            what: "the client certificate",
            reason: "it does not come from a credentials file of this server".to_owned(),
        })
    }

    /// Registers a device. With a certificate request the device keeps its key to itself; else
    /// the server makes one. `ttl_days` may shorten the certificate's life. A device that did not
    /// hear the answer asks again with the same key, and gets the same certificate.
    pub fn register_device(
        &self,
        id: &str,
        ttl_days: Option<u32>,
        request_pem: Option<&str>,
    ) -> Result<Provisioned> {
        names::device_id(id)?;
        if let Some(request) = request_pem
            && let Some(certificate) = self.issued_before(id, request)?
        {
            let ca = self.authority.certificate_pem().to_owned();
            return Ok(Provisioned::Certificate { certificate, ca });
        }
        let now = self.now();
        let most = u32::from(self.config.devices.certificate_days);
        let days = ttl_days.filter(|days| *days > 0).map_or(most, |days| days.min(most));
        let validity = Validity::days(now, days);
        let ca = self.authority.certificate_pem().to_owned();
        let action = "issue a device certificate";
        #[allow(clippy::single_match_else, reason = "two cases of equal rank")]
        let (certificate, provisioned) = match request_pem {
            Some(request) => {
                let certificate = self
                    .authority
                    .issue_device_for_request(request, id, validity)
                    .map_err(|error| Error::invalid("the certificate request", error))?;
                (certificate.clone(), Provisioned::Certificate { certificate, ca })
            }
            None => {
                let identity =
                    self.authority.issue_device(id, validity).map_err(Error::crypto(action))?;
                let bundle = pkcs12::encode(&identity, &ca, "").map_err(Error::crypto(action))?;
                (identity.certificate_pem, Provisioned::Pkcs12(bundle))
            }
        };
        let hash = certificate_hash(&certificate)?;
        let issued = request_pem.map(|_| certificate.as_str());
        // Nothing was given away yet: the device learns its certificate after this commit only.
        self.database.write_together("register a device", |tx| {
            devices::insert(tx, id, &hash, issued, now)?;
            super::groups::follow_rules(tx, id)?;
            let message = format!("device {id} was registered");
            let event = NewEvent::new(EventKind::DeviceRegistered, "server", message).device(id);
            events::append(tx, now, &event)
        })?;
        Ok(provisioned)
    }

    /// The certificate that a device of this id was given for the key of this request.
    fn issued_before(&self, id: &str, request_pem: &str) -> Result<Option<String>> {
        let device = self.database.read("find a device", |reader| devices::get(reader, id))?;
        let issued = device.filter(|one| one.revoked_at.is_none()).and_then(|one| one.issued_pem);
        let Some(certificate) = issued else { return Ok(None) };
        let same = is_for_request(&certificate, request_pem)
            .map_err(|error| Error::invalid("the certificate request", error))?;
        Ok(same.then_some(certificate))
    }
}

/// SHA-256 of the first certificate of a PEM text.
pub fn certificate_hash(pem: &str) -> Result<[u8; 32]> {
    let der = updraft_tuf::pem_decode("CERTIFICATE", pem)
        .map_err(|error| Error::invalid("a certificate", error))?;
    Ok(Sha256::digest(der).into())
}
