//! What happens on the device, told to the server in aktualizr's form.

use jiff::Timestamp;
use serde_json::{Value, json};
use updraft_task::Context;

use crate::session::Session;
use crate::store::{Milestone, QueuedEvent, Update};
use crate::{Error, Result};

/// Events of one request.
const BATCH: u32 = 100;

/// Something that happened to an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    DownloadStarted,
    DownloadCompleted { success: bool },
    InstallationStarted,
    InstallationApplied,
    InstallationCompleted { success: bool },
}

impl EventKind {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::DownloadStarted => "EcuDownloadStarted",
            Self::DownloadCompleted { .. } => "EcuDownloadCompleted",
            Self::InstallationStarted => "EcuInstallationStarted",
            Self::InstallationApplied => "EcuInstallationApplied",
            Self::InstallationCompleted { .. } => "EcuInstallationCompleted",
        }
    }

    pub(crate) fn success(self) -> Option<bool> {
        match self {
            Self::DownloadCompleted { success } | Self::InstallationCompleted { success } => {
                Some(success)
            }
            _ => None,
        }
    }
}

/// An event as it is queued.
pub(crate) fn event(kind: EventKind, ecu: &str, update: &Update, now: Timestamp) -> String {
    let mut details = json!({
        "ecu": ecu,
        "correlationId": update.correlation_id,
        "targetName": update.filepath,
    });
    if let (Some(success), Value::Object(members)) = (kind.success(), &mut details) {
        members.insert("success".to_owned(), success.into());
    }
    plain(kind.id(), &details, now)
}

/// Somebody paused the device, or let it go on.
pub(crate) fn of_device(paused: bool, correlation_id: &str, now: Timestamp) -> String {
    let id = if paused { "DevicePaused" } else { "DeviceResumed" };
    plain(id, &json!({ "correlationId": correlation_id }), now)
}

/// All of an update is here, and it is not installed for this reason: `download-only`, `consent` or
/// `declined`.
pub(crate) fn held(reason: &str, correlation_id: &str, now: Timestamp) -> String {
    plain("UpdateHeld", &json!({ "correlationId": correlation_id, "reason": reason }), now)
}

/// An event with these details.
pub(crate) fn plain(id: &str, details: &Value, now: Timestamp) -> String {
    json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "deviceTime": now.to_string(),
        "eventType": { "id": id, "version": 0 },
        "event": details,
    })
    .to_string()
}

/// Tells the server, once for each update, how far it has come.
pub(crate) fn reach(session: &Session, milestone: Milestone, kind: EventKind) -> Result<()> {
    let Some(update) = session.store.update()? else { return Ok(()) };
    let event = event(kind, &session.ecu.serial, &update, session.now());
    session.store.reach(milestone, &[event])
}

/// Sends what is queued. A server without an event service loses them; one that finds a list too
/// long gets shorter ones.
pub(crate) fn flush(ctx: &Context, session: &Session) -> Result<()> {
    let mut batch = BATCH;
    loop {
        let queued = session.store.queued_events(batch)?;
        let Some(last) = queued.last().map(|event| event.number) else { return Ok(()) };
        match session.gateway.send_events(ctx, list(&queued)?.to_string().into_bytes())? {
            413 if queued.len() > 1 => batch = (batch / 2).max(1),
            // Taken, or not wanted; or this one alone is too large, or malformed in the server's
            // eyes: it would stop all that follow.
            200..=299 | 404 | 400 | 413 => session.store.remove_events(last)?,
            status => {
                return Err(Error::Answer {
                    request: "POST /events",
                    problem: format!("HTTP {status}"),
                });
            }
        }
    }
}

/// The oldest events that wait, for a medium. They go on waiting, and the server keeps each once.
pub(crate) fn for_receipt(session: &Session) -> Result<Value> {
    list(&session.store.queued_events(BATCH)?)
}

fn list(queued: &[QueuedEvent]) -> Result<Value> {
    let events = queued
        .iter()
        .map(|event| serde_json::from_str(&event.json))
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|_| Error::Damaged { what: "a queued event" })?;
    Ok(Value::Array(events))
}
