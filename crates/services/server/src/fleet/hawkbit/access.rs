//! Which device is calling.
//!
//! Three ways, each to be switched on: a header that a proxy sets after it has checked the device's
//! certificate, a token that all devices of the tenant share, and a device's own token. Nothing is
//! on by itself.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::configuration::Tenant;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::storage::hawkbit::devices::{self, ActionDevice, Protocol};

/// The most characters of a device's id.
const MAX_ID: usize = 256;

/// What a caller shows.
#[derive(Debug, Clone)]
pub struct Presented {
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The device that a proxy has recognised, and the authorities of its certificate; only of a
    /// proxy that is trusted.
    pub recognised: Option<(String, Vec<String>)>,
    /// From where it calls.
    pub address: Option<IpAddr>,
}

/// By what a caller was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// By what holds for any device, so that a new one may register.
    AsAnyDevice,
    /// By its own token.
    AsThisDevice,
}

/// Admits a caller who says that it is this device; the token is the device's own, if there is one.
pub(super) fn admit(
    tenant: &Tenant,
    device: &str,
    own_token: Option<&str>,
    presented: &Presented,
) -> Result<Admitted> {
    if let (Some(trusted), Some((recognised, authorities))) =
        (&tenant.authorities, &presented.recognised)
        && recognised == device
        && authorities.iter().any(|one| trusted.contains(&one.to_ascii_lowercase()))
    {
        return Ok(Admitted::AsAnyDevice);
    }
    let refused = || Error::Unauthenticated {
        reason: "the device shows no token that is good here".to_owned(),
    };
    let (scheme, token) = presented
        .authorization
        .as_deref()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or_else(refused)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("GatewayToken") {
        let good = tenant.gateway_token.as_deref().is_some_and(|good| is_same(good, token));
        return if good { Ok(Admitted::AsAnyDevice) } else { Err(refused()) };
    }
    let own = own_token.filter(|_| tenant.target_token);
    let good =
        scheme.eq_ignore_ascii_case("TargetToken") && own.is_some_and(|good| is_same(good, token));
    if good { Ok(Admitted::AsThisDevice) } else { Err(refused()) }
}

/// Recognises a device that must be known, by its own token and whether it was revoked.
pub(super) fn recognise(
    tenant: &Tenant,
    id: &str,
    known: Option<(&str, bool)>,
    presented: &Presented,
) -> Result<()> {
    admit(tenant, id, known.map(|(own_token, _)| own_token), presented)?;
    match known {
        None => Err(Error::not_found("target", id)),
        Some((_, true)) => {
            Err(Error::Unauthenticated { reason: "the device was revoked".to_owned() })
        }
        Some((_, false)) => Ok(()),
    }
}

/// Whether two tokens are the same; how long that takes tells nothing about where they differ.
fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()) == Sha256::digest(other.as_bytes())
}

/// Refuses what cannot be a device's id.
pub(super) fn check_id(id: &str) -> Result<()> {
    let count = id.chars().count();
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if count == 0 || count > MAX_ID || id.chars().any(is_odd) {
        let message =
            format!("a controllerId must have 1 to {MAX_ID} characters without white space");
        return Err(Error::hawkbit(Trouble::Value, message));
    }
    Ok(())
}

impl Fleet {
    /// The device that is calling; it must be known.
    pub fn ddi_device(&self, id: &str, presented: &Presented) -> Result<ActionDevice> {
        let tenant = self.tenant()?;
        let device = self
            .database
            .read("read a device", |reader| devices::get(reader, id))?
            .filter(|device| device.protocol == Protocol::Ddi);
        let known = device.as_ref().map(|device| (device.security_token.as_str(), device.revoked));
        recognise(&tenant, id, known, presented)?;
        let device = device.ok_or_else(|| Error::not_found("target", id))?;
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_hawkbit::PollingTime;

    fn tenant() -> Tenant {
        Tenant {
            authorities: None,
            target_token: false,
            gateway_token: None,
            anonymous_download: false,
            polling: PollingTime::parse("00:05:00").unwrap(),
            overdue: std::time::Duration::from_mins(5),
            window_polls: 3,
            autoclose: false,
            confirmation: false,
            implicit_lock: true,
        }
    }

    fn shows(authorization: &str) -> Presented {
        let authorization = Some(authorization.to_owned());
        Presented { authorization, recognised: None, address: None }
    }

    #[test]
    fn nothing_is_good_until_it_is_switched_on() {
        let refused = |tenant: &Tenant, presented: &Presented| {
            assert!(admit(tenant, "d", Some("t"), presented).is_err(), "{presented:?}");
        };
        let mut tenant = tenant();
        let proxy = Presented {
            authorization: None,
            recognised: Some(("d".to_owned(), vec!["CA".to_owned()])),
            address: None,
        };
        for presented in [shows("TargetToken t"), shows("GatewayToken "), proxy.clone()] {
            refused(&tenant, &presented);
        }
        tenant.target_token = true;
        assert_eq!(
            admit(&tenant, "d", Some("t"), &shows("targettoken t")).unwrap(),
            Admitted::AsThisDevice
        );
        for value in ["TargetToken u", "TargetToken", "GatewayToken t", "Bearer t", "", "t"] {
            refused(&tenant, &shows(value));
        }
        assert!(admit(&tenant, "d", None, &shows("TargetToken t")).is_err());
        tenant.gateway_token = Some("g".to_owned());
        assert_eq!(
            admit(&tenant, "new", None, &shows("GatewayToken g")).unwrap(),
            Admitted::AsAnyDevice
        );
        tenant.authorities = Some(vec!["ca".to_owned()]);
        assert_eq!(admit(&tenant, "d", None, &proxy).unwrap(), Admitted::AsAnyDevice);
        assert!(admit(&tenant, "other", None, &proxy).is_err());
    }
}
