//! Who is calling: extractors that a handler names to demand somebody.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::answer::{GatewayError, Problem};
use super::way::Way;
use super::{Shared, acting, cookies, look, run};
use crate::error::{Error, Result};
use crate::fleet::operators::Operator;
use crate::fleet::provision::PeerCertificate;
use crate::fleet::sessions::SessionId;

/// What the connection's peer has shown, put into each request by the connection loop.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Option<Arc<Shown>>);

/// A client certificate, and whose it is.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) certificate: PeerCertificate,
    /// The device that it was recognised as, and in which state of the database: a device that
    /// polls asks several times on one connection.
    device: Mutex<Option<(u64, String)>>,
}

impl From<PeerCertificate> for Shown {
    fn from(certificate: PeerCertificate) -> Self {
        Self { certificate, device: Mutex::default() }
    }
}

impl Shown {
    fn known(&self) -> MutexGuard<'_, Option<(u64, String)>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the connection comes from, put into each request by the connection loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) from: IpAddr,
    pub(crate) is_tls: bool,
}

/// The device that shows its certificate.
#[derive(Debug, Clone)]
pub(crate) struct Device(pub(crate) String);

/// Somebody who may register devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bootstrap;

/// An operator with a good token, or in a session.
#[derive(Debug, Clone)]
pub(crate) struct Token(pub(crate) Operator);

/// The same, where it matters in which session and from where.
pub(crate) struct Browser {
    pub(crate) operator: Operator,
    pub(crate) session: Option<SessionId>,
    pub(crate) from: IpAddr,
}

/// The same on routes of the OTA world, whose errors are of its form, and the fleet it works on.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) fleet: Shared,
    pub(crate) operator: Operator,
}

/// A device, or an operator with a good token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anybody;

fn certificate(parts: &Parts) -> Option<PeerCertificate> {
    shown(parts).map(|shown| shown.certificate.clone())
}

fn shown(parts: &Parts) -> Option<Arc<Shown>> {
    parts.extensions.get::<Peer>().and_then(|peer| peer.0.clone())
}

pub(crate) async fn operator(parts: &Parts, fleet: &Shared) -> Result<Operator> {
    Ok(recognise(parts, fleet, &Way::of(parts, fleet)).await?.0)
}

/// By `Authorization`, else by a session's cookie, else by a certificate.
async fn recognise(
    parts: &Parts,
    fleet: &Shared,
    way: &Way,
) -> Result<(Operator, Option<SessionId>)> {
    let from = way.address;
    if let Some(value) = parts.headers.get(AUTHORIZATION) {
        let value = value.to_str().map(str::to_owned).map_err(|_| Error::Unauthenticated {
            reason: "`Authorization` is not text".to_owned(),
        })?;
        let found = run(fleet, move |fleet| fleet.recognise_operator(Some(&value))).await;
        let operator = acting::recognised(fleet, found, ("authorization", from))?;
        acting::is(fleet, operator.actor(), &operator.credential, from);
        return Ok((operator, None));
    }
    if let Some(id) = cookies::session(&parts.headers, way.is_https) {
        let wanted = id.clone();
        let found = run(fleet, move |fleet| fleet.recognise_session(&wanted)).await;
        let (operator, _) = acting::recognised(fleet, found, ("session", from))?;
        acting::is(fleet, operator.actor(), &operator.credential, from);
        cookies::check_session_request(parts, way, &id)?;
        return Ok((operator, Some(id)));
    }
    let certificate = certificate(parts);
    let operator = run(fleet, move |fleet| match &certificate {
        Some(certificate) => fleet.recognise_operator_certificate(certificate),
        None => fleet.recognise_operator(None),
    })
    .await?;
    acting::is(fleet, operator.actor(), &operator.credential, from);
    Ok((operator, None))
}

async fn recognise_device(fleet: &Shared, shown: Arc<Shown>) -> Result<String> {
    let of = Arc::clone(&shown);
    if let Some(device) = look(fleet, move |fleet| fleet.known_device(&of.certificate)).await? {
        return Ok(device);
    }
    // Whoever shows a renewed certificate for the first time: that is stored.
    run(fleet, move |fleet| fleet.recognise_device(Some(&shown.certificate))).await
}

async fn device(parts: &Parts, fleet: &Shared) -> Result<String> {
    let Some(shown) = shown(parts) else { return fleet.recognise_device(None) };
    // Before the look: whatever changes after it counts.
    let state = fleet.database().lone_commits();
    if let Some(device) = state.and_then(|state| {
        let known = shown.known();
        known.as_ref().filter(|(of, _)| *of == state).map(|(_, device)| device.clone())
    }) {
        fleet.note_seen(&device);
        return Ok(device);
    }
    let device = recognise_device(fleet, Arc::clone(&shown)).await?;
    *shown.known() = state.map(|state| (state, device.clone()));
    Ok(device)
}

impl FromRequestParts<Shared> for Device {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        Ok(Self(device(parts, fleet).await?))
    }
}

impl FromRequestParts<Shared> for Bootstrap {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        let certificate = certificate(parts);
        run(fleet, move |fleet| fleet.require_bootstrap(certificate.as_ref())).await?;
        Ok(Self)
    }
}

impl FromRequestParts<Shared> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        Ok(Self(operator(parts, fleet).await?))
    }
}

impl FromRequestParts<Shared> for Browser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        let way = Way::of(parts, fleet);
        let (operator, session) = recognise(parts, fleet, &way).await?;
        let from = way.address()?;
        Ok(Self { operator, session, from })
    }
}

impl FromRequestParts<Shared> for Anybody {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        if parts.headers.contains_key(AUTHORIZATION) {
            operator(parts, fleet).await?;
        } else if let Err(refused) = device(parts, fleet).await {
            // Certificates of operators are rare; most callers are devices.
            operator(parts, fleet).await.map_err(|_| refused)?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        Ok(Self { fleet: fleet.clone(), operator: operator(parts, fleet).await? })
    }
}
