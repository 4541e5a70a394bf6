//! Certificates end: the device's is renewed before that, and everything goes on as before.
//!
//! The present certificate stays in use until the new one is stored with its key, which is the
//! commit point; a server accepts both until it has seen the new one. A renewal that does not
//! succeed is tried again with the next cycle, and stops nothing.

use jiff::Timestamp;
use updraft_crypto::tls::{CertificateInfo, certificate_info, is_for_request};
use updraft_task::Context;

use crate::gateway::Gateway;
use crate::keys::token_key;
use crate::provision::new_request;
use crate::session::Session;
use crate::store::IdentityRecord;
use crate::{Error, Result};

/// Renews the certificate if that is due. Fails only when the work is cancelled.
pub(crate) fn if_due(ctx: &Context, session: &mut Session) -> Result<()> {
    match renew(ctx, session) {
        Ok(()) => Ok(()),
        Err(Error::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the device's certificate was not renewed"
            );
            Ok(())
        }
    }
}

fn renew(ctx: &Context, session: &mut Session) -> Result<()> {
    let damaged = Error::Damaged { what: "the device's identity" };
    let present = session.store.identity()?.ok_or(damaged)?;
    let Some(certificate) = &present.certificate_pem else { return Ok(()) };
    let info = certificate_info(certificate.as_bytes())
        .map_err(Error::below("read the device's certificate"))?;
    let percent = session.settings.est.renew_percent;
    if !is_due(&info, session.now(), percent) {
        return Ok(());
    }
    // A key in a token stays; else there is a new one for the new certificate.
    let (request, private_key_pem) = new_request(&session.token, &present.device_id)?;
    let certificate = session.gateway.renew_certificate(ctx, &request)?;
    let refused = |problem: String| Error::Answer { request: "POST /simplereenroll", problem };
    let new = certificate_info(certificate.as_bytes()).map_err(|e| refused(e.to_string()))?;
    if new.common_name.as_deref() != Some(&present.device_id) {
        return Err(refused("the certificate is for somebody else".to_owned()));
    }
    if !is_for_request(&certificate, &request).map_err(|e| refused(e.to_string()))? {
        return Err(refused("the certificate is for another key".to_owned()));
    }
    if new.not_after <= info.not_after {
        return Err(refused("the certificate ends no later than the present one".to_owned()));
    }
    let identity =
        IdentityRecord { private_key_pem, certificate_pem: Some(certificate), ..present };
    let key = token_key(&session.token, &identity)?;
    let addresses = session.gateway.addresses.clone();
    let gateway = Gateway::new(&session.settings, &identity, key, addresses)?;
    // Commit point: key and certificate together.
    session.store.renew_identity(&identity)?;
    session.gateway = gateway;
    tracing::info!(until = %new.not_after, "the device's certificate was renewed");
    Ok(())
}

/// Whether less than `percent` of a certificate's life is left. One whose time has not come is not
/// renewed: the clock is wrong.
fn is_due(info: &CertificateInfo, now: Timestamp, percent: u8) -> bool {
    let life = info.not_after.as_second() - info.not_before.as_second();
    let left = info.not_after.as_second() - now.as_second();
    let is_current = left >= 0 && left <= life;
    // Seconds of some hundred years, times 100, are far from the limits of an i64.
    is_current && left.saturating_mul(100) < life.saturating_mul(i64::from(percent))
}

#[cfg(test)]
mod tests {
    use updraft_crypto::tls::CertificateInfo;

    use super::is_due;

    #[test]
    fn renewal_is_due_in_the_last_part_of_a_life() {
        let info = CertificateInfo {
            common_name: None,
            business_category: None,
            not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
            not_after: "2026-01-11T00:00:00Z".parse().unwrap(),
            serial_number: String::new(),
        };
        for (now, percent, due) in [
            ("2026-01-01T00:00:00Z", 25, false),
            ("2026-01-08T11:00:00Z", 25, false),
            ("2026-01-08T13:00:00Z", 25, true),
            ("2026-01-08T13:00:00Z", 0, false),
            ("2026-01-11T01:00:00Z", 25, false),
            ("2025-01-01T00:00:00Z", 90, false),
        ] {
            assert_eq!(is_due(&info, now.parse().unwrap(), percent), due, "{now} {percent}");
        }
    }
}
