//! Renewing a device's certificate while it has a good one.
//!
//! A device that does not hear the answer must not be locked out, so there are two good
//! certificates for a while: the present one, until the device shows the new one.

use updraft_crypto::tls::Validity;

use super::Fleet;
use super::provision::certificate_hash;
use crate::error::{Error, Result};
use crate::storage::next_certificates;

impl Fleet {
    /// The certificate (PEM) of the authority that signs devices and this server.
    pub fn authority_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// Issues the certificate (PEM) that is to follow the device's present one, for the key of
    /// this request (PEM). Names in the request are ignored.
    pub fn renew_certificate(&self, id: &str, request_pem: &str) -> Result<String> {
        let validity = Validity::days(self.now(), u32::from(self.config.devices.certificate_days));
        let certificate = self
            .authority
            .issue_device_for_request(request_pem, id, validity)
            .map_err(|error| Error::invalid("the certificate request", error))?;
        let hash = certificate_hash(&certificate)?;
        // Nothing was given away yet: the device learns its certificate after this commit only.
        self.database.write("renew a device's certificate", |tx| {
            next_certificates::put(tx, id, &hash, &certificate)
        })?;
        tracing::info!(device = id, "a certificate was renewed");
        Ok(certificate)
    }

    /// Whether a device shows the renewed certificate; then only that is good from now on.
    pub(super) fn accept_renewed(&self, id: &str, hash: &[u8; 32]) -> Result<bool> {
        // Strangers' certificates must not cost a write.
        let is_next = self.database.read("find a renewed certificate", |reader| {
            next_certificates::is_next(reader, id, hash)
        })?;
        // Commit point of a renewal.
        Ok(is_next
            && self.database.write("accept a renewed certificate", |tx| {
                next_certificates::promote(tx, id, hash)
            })?)
    }
}
