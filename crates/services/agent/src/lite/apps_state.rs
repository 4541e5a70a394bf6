//! `POST /apps-states`: how the apps of what runs are, told to a server that knows this device.
//!
//! ```text
//! {"deviceTime": "2026-05-01T00:00:00Z", "ostree": COMMIT,
//!  "apps": {NAME: {"uri": URI, "state": "healthy|unhealthy", "services": […]}}}
//! ```
//! aktualizr-lite sends it where its package manager is the one for apps. Nothing runs apps here
//! yet, so there are none of them.

use serde_json::json;
use updraft_http::Method;
use updraft_task::Context;

use super::{LiteSettings, LiteTarget};
use crate::session::Session;
use crate::{Error, Result};

/// The path below the server, and the name under which it is remembered what was sent.
const NAME: &str = "apps-states";

/// Sends the states when they are others than were sent last. That the server does not take them
/// stops nothing.
pub(super) fn send(
    ctx: &Context,
    lite: &LiteSettings,
    session: &Session,
    running: &LiteTarget,
) -> Result<()> {
    if !lite.has_apps {
        return Ok(());
    }
    let mut states = json!({ "ostree": running.sha256, "apps": {} });
    let hash = updraft_crypto::sha256_hex(states.to_string().as_bytes());
    if session.store.sent_hash(NAME)?.as_ref() == Some(&hash) {
        return Ok(());
    }
    if let Some(states) = states.as_object_mut() {
        // Whole seconds: what aktualizr-lite writes, and servers expect.
        let now = session.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        states.insert("deviceTime".to_owned(), now.into());
    }
    let body = states.to_string().into_bytes();
    let kind = "application/json";
    match session.gateway.send_device_data(ctx, Method::Post, NAME, kind, body) {
        Ok(()) => session.store.set_sent_hash(NAME, &hash),
        Err(Error::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(error) => {
            tracing::warn!(%error, "the states of apps were not sent");
            Ok(())
        }
    }
}
