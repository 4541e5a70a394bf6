//! What happens, told to a server that knows this device.

use serde_json::{Value, json};

use super::{LiteSettings, LiteTarget};
use crate::events::EventKind;
use crate::session::Session;

/// The longest `details`, in bytes; a server refuses more.
const MAX_DETAILS: usize = 2048;
const TRUNCATED: &str = "[TRUNCATED]";
/// That the metadata was checked, and what it led to.
const METADATA: &str = "MetadataUpdateCompleted";

/// An event as it is queued; none while no server is set.
pub(super) fn event(
    lite: &LiteSettings,
    session: &Session,
    kind: EventKind,
    target: &LiteTarget,
    correlation_id: &str,
    details: Option<&str>,
) -> Vec<String> {
    let about = About { session, target, correlation_id, details };
    queued(lite, &about.json(kind.id(), kind.success()))
}

/// That the metadata led to this target.
pub(super) fn checked(
    lite: &LiteSettings,
    session: &Session,
    target: &LiteTarget,
    correlation_id: &str,
    details: &str,
) -> Vec<String> {
    let about = About { session, target, correlation_id, details: Some(details) };
    queued(lite, &about.json(METADATA, Some(true)))
}

fn queued(lite: &LiteSettings, event: &Value) -> Vec<String> {
    if lite.agent.tls.server.is_empty() { Vec::new() } else { vec![event.to_string()] }
}

struct About<'a> {
    session: &'a Session,
    target: &'a LiteTarget,
    correlation_id: &'a str,
    details: Option<&'a str>,
}

impl About<'_> {
    fn json(&self, id: &str, success: Option<bool>) -> Value {
        let mut event = json!({
            "ecu": self.session.ecu.serial,
            "correlationId": self.correlation_id,
            "targetName": self.target.name,
            "version": self.target.version_text(),
        });
        if let Value::Object(members) = &mut event {
            if let Some(details) = self.details {
                members.insert("details".to_owned(), shortened(details).into());
            }
            if let Some(success) = success {
                members.insert("success".to_owned(), success.into());
            }
        }
        json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "deviceTime": self.session.now().to_string(),
            "eventType": { "id": id, "version": 0 },
            "event": event,
        })
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_DETAILS {
        return text.to_owned();
    }
    let most = MAX_DETAILS - TRUNCATED.len();
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{TRUNCATED}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_as_long_as_a_server_takes() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ä".repeat(2000));
        assert!(long.len() <= MAX_DETAILS && long.ends_with(TRUNCATED), "{}", long.len());
    }
}
