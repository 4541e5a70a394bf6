//! From the shared credentials file to a key and certificate of this device alone.

use updraft_crypto::tls::{certificate_info, certificate_request, certificate_request_for};
use updraft_task::{Context, Event};
use updraft_tuf::{Repository, RoleName};

use crate::config::Settings;
use crate::credentials::Credentials;
use crate::gateway::{Addresses, NewDevice, RegisteredDevice, register_device};
use crate::keys::Token;
use crate::store::{IdentityRecord, Store};
use crate::{Error, Result};

/// How many made-up ids are tried when the server says that one is taken.
const ID_ATTEMPTS: usize = 5;

/// Registers this device with the bootstrap identity. `begun`: what an earlier run stored.
pub(super) fn register(
    ctx: &Context,
    settings: &Settings,
    token: &Token,
    store: &Store,
    begun: Option<IdentityRecord>,
) -> Result<IdentityRecord> {
    let provision = &settings.provision;
    let path = &provision.provision_path;
    if path.as_os_str().is_empty() {
        let problem = "`provision.provision_path` is empty".to_owned();
        return Err(Error::NotProvisioned { problem });
    }
    let credentials = Credentials::read(path, &provision.p12_password)?;
    let addresses = Addresses::new(settings, credentials.server.as_deref())?;
    if let Some(root) = &credentials.image_root
        && store.trusted_metadata()?.image.get(&RoleName::Root).is_none()
    {
        store.persist_metadata(Repository::Image, &RoleName::Root, root)?;
    }
    let mut begun = begun.filter(|identity| {
        provision.device_id.is_empty() || provision.device_id == identity.device_id
    });
    for _ in 0..ID_ATTEMPTS {
        ctx.check()?;
        let pending = match begun.take() {
            Some(pending) => pending,
            None => begin(settings, token, store, credentials.server.clone())?,
        };
        ctx.report(&Event::Message(format!("registering device {}", pending.device_id)));
        let device = NewDevice {
            device_id: &pending.device_id,
            ttl: provision.expiry_days.to_string(),
            csr: pending.request_pem.as_deref().unwrap_or_default(),
        };
        match register_device(ctx, settings, &credentials, &addresses.provision, &device)? {
            RegisteredDevice::IdTaken if provision.device_id.is_empty() => {}
            RegisteredDevice::IdTaken => {
                return Err(Error::Registration {
                    code: format!("device_already_registered: {}", pending.device_id),
                    kind: updraft_error::Kind::Conflict,
                });
            }
            RegisteredDevice::Certificate(answer) => {
                let (certificate, ca) = (answer.certificate, Some(answer.ca));
                let identity = finished(&credentials, pending, certificate, ca)?;
                store.set_identity(&identity)?;
                return Ok(identity);
            }
            RegisteredDevice::Identity(identity, ca) => {
                if pending.private_key_pem.is_empty() {
                    return Err(not_for_the_token());
                }
                let private_key_pem = identity.private_key_pem;
                let pending = IdentityRecord { private_key_pem, ..pending };
                let identity = finished(&credentials, pending, identity.certificate_pem, ca)?;
                store.set_identity(&identity)?;
                return Ok(identity);
            }
        }
    }
    Err(Error::Registration {
        code: "device_already_registered for every id that was tried".to_owned(),
        kind: updraft_error::Kind::Conflict,
    })
}

/// Makes the key and stores it before anybody hears of it.
fn begin(
    settings: &Settings,
    token: &Token,
    store: &Store,
    server: Option<String>,
) -> Result<IdentityRecord> {
    let device_id = match settings.provision.device_id.as_str() {
        "" => {
            let random =
                updraft_crypto::random_hex::<8>().map_err(Error::below("make up a device id"))?;
            format!("device-{random}")
        }
        chosen => chosen.to_owned(),
    };
    let (request, private_key_pem) = new_request(token, &device_id)?;
    let pending = IdentityRecord {
        device_id,
        private_key_pem,
        request_pem: Some(request),
        certificate_pem: None,
        ca_pem: None,
        server,
    };
    store.set_identity(&pending)?;
    Ok(pending)
}

/// A certificate request, and the private key that was made for it; that is empty when the key is
/// in the token.
pub(crate) fn new_request(token: &Token, device_id: &str) -> Result<(String, String)> {
    let made = match token.tls_key()? {
        Some(key) => {
            certificate_request_for(device_id, &key).map(|request| (request, String::new()))
        }
        None => certificate_request(device_id),
    };
    made.map_err(Error::below("make a certificate request"))
}

/// The server made a key of its own, and a token's key does not leave it for another.
pub(super) fn not_for_the_token() -> Error {
    let problem = "it signs no certificate for a key in a token".to_owned();
    Error::Answer { request: "POST /devices", problem }
}

/// The identity of which the server has sent the certificate.
pub(super) fn finished(
    credentials: &Credentials,
    pending: IdentityRecord,
    certificate_pem: String,
    ca_pem: Option<String>,
) -> Result<IdentityRecord> {
    let unusable = |problem: String| Error::Answer { request: "POST /devices", problem };
    let info = certificate_info(certificate_pem.as_bytes())
        .map_err(|error| unusable(error.to_string()))?;
    let device_id = info
        .common_name
        .ok_or_else(|| unusable("its certificate has no common name".to_owned()))?;
    if device_id != pending.device_id {
        return Err(unusable(format!("its certificate is for {device_id}")));
    }
    Ok(IdentityRecord {
        request_pem: None,
        certificate_pem: Some(certificate_pem),
        ca_pem: Some(ca_pem.unwrap_or_else(|| credentials.ca_pem.clone())),
        ..pending
    })
}
