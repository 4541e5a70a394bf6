//! What rollouts have to know of a device that speaks Uptane, taken from what it says about itself.
//!
//! It is kept beside the document it is from: rollouts look at it for every device that waits, and
//! the document may be long.

use serde::{Deserialize, Serialize};
use updraft_tuf::InstallOrder;

use crate::error::{Error, Result};
use crate::storage::devices;
use crate::storage::sql::Connection;
use crate::storage::values;

/// The document that these are taken from.
pub(in crate::fleet) const SOURCE: &str = "system_info";
/// Where they are kept.
pub(in crate::fleet) const KIND: &str = "facts";
/// The most that is kept of a name.
const MAX_NAME: usize = 80;
/// The most orders that are kept.
const MAX_ORDERS: usize = 16;

/// What is known; what a device does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::fleet) struct Facts {
    /// The time zone it is in: `time_zone` of `system_info`.
    pub(in crate::fleet) time_zone: Option<String>,
    /// The orders of the Director that its agent follows: `agent.orders` of `system_info`.
    pub(in crate::fleet) orders: Vec<String>,
}

impl Facts {
    /// Takes them from what a device sent; of what has another form nothing is taken.
    pub(in crate::fleet) fn of(system_info: &[u8]) -> Self {
        let info: Said = serde_json::from_slice(system_info).unwrap_or_default();
        let text = |value: &serde_json::Value| {
            let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_NAME)?;
            Some(text.to_owned())
        };
        let orders = info.agent.get("orders").and_then(serde_json::Value::as_array);
        let orders = orders.into_iter().flatten().take(MAX_ORDERS).filter_map(text).collect();
        Self { time_zone: text(&info.time_zone), orders }
    }

    /// Whether the agent follows an order. Who does not know one would install at once.
    pub(in crate::fleet) fn follows(&self, order: InstallOrder) -> bool {
        order.name().is_none_or(|name| self.orders.iter().any(|known| known == name))
    }

    /// What is kept of a device.
    pub(in crate::fleet) fn read(reader: &Connection, device: &str) -> Result<Self> {
        let Some(body) = devices::document(reader, device, KIND)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&body).map_err(|error| Error::Stored {
            what: "what is known of a device",
            reason: error.to_string(),
        })
    }

    pub(in crate::fleet) fn to_bytes(&self) -> Result<Vec<u8>> {
        values::json("store what is known of a device", self).map(String::into_bytes)
    }
}

/// The members that are looked at; all others are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    time_zone: serde_json::Value,
    agent: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_right_form_is_taken() {
        let zone = |body: &str| Facts::of(body.as_bytes()).time_zone;
        let said = r#"{"id": "x", "children": [], "time_zone": "Asia/Tokyo"}"#;
        assert_eq!(zone(said).as_deref(), Some("Asia/Tokyo"));
        let long = format!(r#"{{"time_zone": "{}"}}"#, "x".repeat(81));
        for none in ["", "[]", "{}", r#"{"time_zone": 2}"#, r#"{"time_zone": ""}"#, &long] {
            assert_eq!(zone(none), None, "{none}");
        }
        let follows = |body: &str| Facts::of(body.as_bytes()).follows(InstallOrder::Consent);
        assert!(follows(r#"{"agent": {"orders": [1, "later", "consent"]}}"#));
        let no = [r#"{"agent": {"orders": "consent"}}"#, r#"{"agent": ["consent"]}"#, "{}"];
        assert!(!no.into_iter().any(follows) && Facts::default().follows(InstallOrder::AtOnce));
    }
}
