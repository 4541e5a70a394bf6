//! A device at work: known to a server when it has a certificate, else anonymous.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_http::{Client, ClientOptions, Identity, TokenIdentity};
use updraft_tuf::Ecu;

use super::{LiteSettings, LiteTarget};
use crate::aktualizr;
use crate::clock::{Clock, is_plausible};
use crate::config::{KeySource, Settings};
use crate::gateway::{Addresses, Gateway, client_options};
use crate::keys::{EcuKey, Token, token_key};
use crate::library::Watch;
use crate::metrics::Metrics;
use crate::provision::{ecu, import, preinstalled};
use crate::session::Session;
use crate::store::{IdentityRecord, Store};
use crate::{Error, Result};

/// A session for work: what is missing of key and identity is made or imported.
pub(super) fn for_work(
    lite: &LiteSettings,
    store: Store,
    clock: Arc<dyn Clock>,
) -> Result<Session> {
    if !is_plausible(clock.now()) {
        return Err(Error::Clock { now: clock.now().to_string() });
    }
    let settings = &lite.agent;
    aktualizr::take_over_lite(settings, &store, clock.now())?;
    preinstalled::take_over(settings, &store, clock.now())?;
    let token = Token::new(settings);
    let identity = match store.identity()?.filter(|known| known.certificate_pem.is_some()) {
        Some(known) => Some(import::renewed(settings, &token, &store, known)?),
        None if can_import(settings) => Some(import::identity(settings, &token, &store)?),
        None => None,
    };
    let (ecu, key) = ecu::prepare(settings, &token, &store)?;
    let ecu = Ecu { serial: ecu.serial, hardware_id: ecu.hardware_id };
    session(settings, store, clock, identity.as_ref(), ecu, key)
}

/// A session that only reads, while another may be at work.
pub(super) fn to_read(lite: &LiteSettings, store: Store, clock: Arc<dyn Clock>) -> Result<Session> {
    let settings = &lite.agent;
    let identity = store.identity()?;
    let known = store.ecu()?;
    let (serial, hardware_id) = known.map(|ecu| (ecu.serial, ecu.hardware_id)).unwrap_or_default();
    let hardware_id = match settings.provision.primary_ecu_hardware_id.as_str() {
        "" => hardware_id,
        chosen => chosen.to_owned(),
    };
    // Nothing is signed with it.
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).map_err(Error::below("make a key"))?;
    let key = EcuKey::Stored(key);
    let ecu = Ecu { serial, hardware_id };
    session(settings, store, clock, identity.as_ref(), ecu, key)
}

/// From now on the server is told what this device runs.
pub(super) fn introduce(
    lite: &LiteSettings,
    session: &mut Session,
    running: &LiteTarget,
) -> Result<()> {
    let options = session.gateway.client.options().clone();
    let headers = headers(lite, running);
    session.gateway.client = Client::new(&ClientOptions { headers, ..options })?;
    Ok(())
}

fn session(
    settings: &Settings,
    store: Store,
    clock: Arc<dyn Clock>,
    identity: Option<&IdentityRecord>,
    ecu: Ecu,
    key: EcuKey,
) -> Result<Session> {
    let token = Token::new(settings);
    let client = client(settings, &token, identity)?;
    let gateway = Gateway { client, addresses: addresses(settings) };
    let device_id = identity.map(|known| known.device_id.clone()).unwrap_or_default();
    Ok(Session {
        settings: settings.clone(),
        store,
        clock,
        gateway,
        device_id,
        ecu,
        key,
        token,
        watch: Watch::default(),
        hardware: None,
        added: Vec::new(),
        waited_for_secondaries: AtomicBool::new(false),
        metrics: Metrics::default(),
    })
}

fn can_import(settings: &Settings) -> bool {
    let (import, tls) = (&settings.import, &settings.tls);
    let places = [
        (&import.tls_cacert_path, tls.ca_source),
        (&import.tls_clientcert_path, tls.cert_source),
        (&import.tls_pkey_path, tls.pkey_source),
    ];
    places.iter().all(|(path, source)| {
        let is_file = || !path.as_os_str().is_empty() && import.base_path.join(path).is_file();
        *source == KeySource::Pkcs11 || is_file()
    })
}

fn client(settings: &Settings, token: &Token, identity: Option<&IdentityRecord>) -> Result<Client> {
    let authority = identity.and_then(|known| known.ca_pem.clone());
    // An anonymous device may know a server with an authority of its own.
    let path = &settings.import.tls_cacert_path;
    let authority = match authority {
        None if !path.as_os_str().is_empty() => {
            std::fs::read_to_string(settings.import.base_path.join(path)).ok()
        }
        known => known,
    };
    let (mut known_here, mut known_by_token) = (None, None);
    if let Some(known) = identity
        && let Some(certificate) = &known.certificate_pem
    {
        let certificate_pem = certificate.as_bytes().to_vec();
        if let Some(key) = token_key(token, known)? {
            known_by_token = Some(TokenIdentity { certificate_pem, key: Arc::new(key) });
        } else {
            let private_key_pem = known.private_key_pem.as_bytes().to_vec();
            known_here = Some(Identity { certificate_pem, private_key_pem });
        }
    }
    Ok(Client::new(&ClientOptions {
        ca_pem: authority.map(String::into_bytes),
        identity: known_here,
        token_identity: known_by_token,
        ..client_options(settings)
    })?)
}

/// Where everything is. Without a gateway there are only the addresses that are set.
fn addresses(settings: &Settings) -> Addresses {
    let server = settings.tls.server.trim_end_matches('/').to_owned();
    let or = |text: &str, path: &str| match text.trim_end_matches('/') {
        "" if server.is_empty() => String::new(),
        "" => format!("{server}/{path}"),
        chosen => chosen.to_owned(),
    };
    Addresses {
        director: String::new(),
        repo: or(&settings.uptane.repo_server, "repo"),
        treehub: or(&settings.pacman.ostree_server, "treehub"),
        provision: String::new(),
        ecus: String::new(),
        est: or(&settings.est.server, ".well-known/est"),
        server,
    }
}

fn headers(lite: &LiteSettings, running: &LiteTarget) -> Vec<(String, String)> {
    let apps = running.apps().into_iter().map(|app| app.name).filter(|app| lite.is_on(app));
    let apps: Vec<String> = apps.collect();
    let commit = if running.sha256.is_empty() { "?" } else { &running.sha256 };
    let header = |name: &str, value: &str| (name.to_owned(), clean(value));
    let mut headers = vec![
        header("x-ats-tags", &lite.tags.join(",")),
        header("x-ats-target", &running.name),
        header("x-ats-ostreehash", commit),
    ];
    if lite.has_apps {
        headers.push(header("x-ats-dockerapps", &apps.join(",")));
    }
    headers
}

/// Names come from metadata, and a header is one line of ASCII.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}
