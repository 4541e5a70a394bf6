//! What is known about this device.

use serde::{Deserialize, Serialize};
use updraft_http::{Method, Request};
use updraft_task::Context;

use super::{LiteSettings, LiteTarget, current, work};
use crate::Result;
use crate::boot::Boot;
use crate::session::Session;

/// `GET /device` is a few lines.
const MAX_ANSWER: u64 = 64 << 10;

/// `aktualizr-lite status --json 1`. The shape is stable; members may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiteStatus {
    /// The device's id; absent for an anonymous one.
    pub uuid: Option<String>,
    /// What the server calls it.
    pub device: Option<DeviceInfo>,
    /// What runs, as aktualizr-lite's scripts read it.
    pub applied_target: Option<AppliedTarget>,
    /// What runs.
    pub current: Option<NamedTarget>,
    /// What waits to be finalized.
    pub pending: Option<NamedTarget>,
}

/// A target by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedTarget {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The commit.
    pub sha256: String,
}

/// What runs, with its apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedTarget {
    /// Its apps.
    pub apps: Vec<AppliedApp>,
    /// Its name.
    pub name: String,
    /// The commit.
    pub sha256: String,
    /// Its version.
    pub version: i64,
}

/// An app of what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedApp {
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
    /// Whether it runs.
    pub running: bool,
    /// Where it is.
    pub uri: String,
}

/// `GET /device`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceInfo {
    /// The device's name.
    #[serde(rename = "Name")]
    pub name: String,
    /// Its factory.
    pub factory: String,
    /// Its owner.
    pub owner: String,
    /// Its repository.
    pub repo_id: String,
}

pub(super) fn status(
    ctx: &Context,
    lite: &LiteSettings,
    session: &Session,
    boot: &Boot,
) -> Result<LiteStatus> {
    let running = current::running(session, boot)?;
    let running = Some(running).filter(|running| !running.sha256.is_empty());
    let pending = match (work::pending(session)?, session.store.update()?) {
        (Some(_), Some(update)) => {
            Some(current::named(&session.store, &update.filepath, &update.sha256)?)
        }
        _ => None,
    };
    Ok(LiteStatus {
        uuid: Some(session.device_id.clone()).filter(|id| !id.is_empty()),
        device: device(ctx, session),
        applied_target: running.as_ref().map(|running| applied(lite, running)),
        current: running.map(named),
        pending: pending.map(named),
    })
}

/// What the server says; a device without one, or out of its reach, has no such name.
fn device(ctx: &Context, session: &Session) -> Option<DeviceInfo> {
    let server = &session.gateway.addresses.server;
    if server.is_empty() {
        return None;
    }
    let request = Request::new(Method::Get, format!("{server}/device"));
    let answer = session
        .gateway
        .client
        .send_with(ctx, &request)
        .and_then(updraft_http::Response::error_for_status)
        .and_then(|response| response.json(MAX_ANSWER));
    answer.inspect_err(|error| tracing::warn!(%error, "the server does not name this device")).ok()
}

fn applied(lite: &LiteSettings, running: &LiteTarget) -> AppliedTarget {
    let apps = running.apps().into_iter().map(|app| {
        let on = lite.is_on(&app.name);
        // Whoever comes to run apps says here which of them do.
        AppliedApp { name: app.name, on, running: false, uri: app.uri }
    });
    AppliedTarget {
        apps: apps.collect(),
        name: running.name.clone(),
        sha256: running.sha256.clone(),
        version: running.version,
    }
}

fn named(target: LiteTarget) -> NamedTarget {
    NamedTarget { name: target.name, version: target.version, sha256: target.sha256 }
}
