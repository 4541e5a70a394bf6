//! Getting in again, when the server has forgotten this device: only when somebody asks for it, and
//! never under another name.

use updraft_task::{Context, Event};

use super::{device, import, mode_of};
use crate::config::{ProvisionMode, Settings};
use crate::credentials::Credentials;
use crate::gateway::{Addresses, NewDevice, RegisteredDevice, register_device};
use crate::keys::Token;
use crate::store::{IdentityRecord, Renewal, Store};
use crate::{Error, Result};

/// Replaces the identity of a device that has one. The present one stays until the server has
/// given the new one.
pub(super) fn replace(
    ctx: &Context,
    settings: &Settings,
    token: &Token,
    store: &Store,
) -> Result<()> {
    let Some(present) = store.identity()?.filter(|one| one.certificate_pem.is_some()) else {
        return Ok(());
    };
    let identity = match mode_of(settings) {
        ProvisionMode::DeviceCred => import::read_identity(settings, token)?,
        _ => register(ctx, settings, token, store, &present)?,
    };
    if identity.device_id != present.device_id {
        let problem = format!(
            "the certificate to import is for {}, and this device is {}",
            identity.device_id, present.device_id
        );
        return Err(Error::NotProvisioned { problem });
    }
    // Commit point: key and certificate together, and the registration anew.
    store.replace_identity(&identity)
}

fn register(
    ctx: &Context,
    settings: &Settings,
    token: &Token,
    store: &Store,
    present: &IdentityRecord,
) -> Result<IdentityRecord> {
    let provision = &settings.provision;
    let credentials = Credentials::read(&provision.provision_path, &provision.p12_password)?;
    let addresses = Addresses::new(settings, credentials.server.as_deref())?;
    let device_id = &present.device_id;
    // The key is stored before anybody hears of it: asked again, the server gives the certificate
    // for it again.
    let renewal = match store.renewal()? {
        Some(renewal) => renewal,
        None => {
            let (request_pem, private_key_pem) = device::new_request(token, device_id)?;
            let renewal = Renewal { private_key_pem, request_pem };
            store.set_renewal(&renewal)?;
            renewal
        }
    };
    ctx.report(&Event::Message(format!("registering device {device_id} again")));
    let device =
        NewDevice { device_id, ttl: provision.expiry_days.to_string(), csr: &renewal.request_pem };
    let pending = IdentityRecord {
        device_id: device_id.clone(),
        private_key_pem: renewal.private_key_pem.clone(),
        request_pem: None,
        certificate_pem: None,
        ca_pem: None,
        server: credentials.server.clone().or_else(|| present.server.clone()),
    };
    match register_device(ctx, settings, &credentials, &addresses.provision, &device)? {
        RegisteredDevice::IdTaken => Err(Error::Registration {
            code: format!("device_already_registered: {device_id}"),
            kind: updraft_error::Kind::Conflict,
        }),
        RegisteredDevice::Certificate(answer) => {
            device::finished(&credentials, pending, answer.certificate, Some(answer.ca))
        }
        RegisteredDevice::Identity(..) if pending.private_key_pem.is_empty() => {
            Err(device::not_for_the_token())
        }
        RegisteredDevice::Identity(identity, ca) => {
            let pending = IdentityRecord { private_key_pem: identity.private_key_pem, ..pending };
            device::finished(&credentials, pending, identity.certificate_pem, ca)
        }
    }
}
