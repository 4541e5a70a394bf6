//! How a device becomes known: an identity of its own, an ECU key, registration.
//!
//! Every step is stored before the next one begins, and each may be repeated: a device that dies
//! anywhere in here goes on where it stopped, with the same keys.

mod again;
mod device;
pub(crate) mod ecu;
pub(crate) mod import;
pub(crate) mod preinstalled;

pub(crate) use device::new_request;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use updraft_task::Context;

use crate::clock::{Clock, is_plausible};
use crate::config::{ProvisionMode, Settings};
use crate::gateway::{Addresses, Gateway};
use crate::keys::{Token, token_key};
use crate::library::Watch;
use crate::metrics::Metrics;
use crate::session::Session;
use crate::store::Store;
use crate::{Error, Result};

/// Whether an identity that is there is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It is.
    Keep,
    /// The server does not know it any more: another certificate is asked for.
    Again,
}

/// Gives this device what it lacks of identity, key and registration.
pub(crate) fn provision(
    ctx: &Context,
    settings: Settings,
    store: Store,
    clock: Arc<dyn Clock>,
    choice: Choice,
) -> Result<Session> {
    if !is_plausible(clock.now()) {
        return Err(Error::Clock { now: clock.now().to_string() });
    }
    let token = Token::new(&settings);
    if choice == Choice::Again {
        again::replace(ctx, &settings, &token, &store)?;
    }
    let identity = match store.identity()? {
        Some(known) if known.certificate_pem.is_some() => match mode_of(&settings) {
            ProvisionMode::DeviceCred => import::renewed(&settings, &token, &store, known)?,
            _ => known,
        },
        begun => match mode_of(&settings) {
            ProvisionMode::DeviceCred => import::identity(&settings, &token, &store)?,
            _ => device::register(ctx, &settings, &token, &store, begun)?,
        },
    };
    import::first_roots(&settings, &store)?;
    preinstalled::take_over(&settings, &store, clock.now())?;
    let addresses = Addresses::new(&settings, identity.server.as_deref())?;
    let key = token_key(&token, &identity)?;
    let gateway = Gateway::new(&settings, &identity, key, addresses)?;
    let (ecu, key) = ecu::prepare(&settings, &token, &store)?;
    if !ecu.registered {
        ecu::register(ctx, &store, &gateway, &ecu, &key)?;
    }
    let device_id = identity.device_id;
    let ecu = updraft_tuf::Ecu { serial: ecu.serial, hardware_id: ecu.hardware_id };
    let watch = Watch::default();
    Ok(Session {
        settings,
        store,
        clock,
        gateway,
        device_id,
        ecu,
        key,
        token,
        watch,
        hardware: None,
        added: Vec::new(),
        waited_for_secondaries: AtomicBool::new(false),
        metrics: Metrics::default(),
    })
}

pub(super) fn mode_of(settings: &Settings) -> ProvisionMode {
    match settings.provision.mode {
        ProvisionMode::Default if settings.provision.provision_path.as_os_str().is_empty() => {
            ProvisionMode::DeviceCred
        }
        ProvisionMode::Default => ProvisionMode::SharedCred,
        chosen => chosen,
    }
}
