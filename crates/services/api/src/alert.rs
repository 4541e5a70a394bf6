//! What is worth an alarm, and what raised one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ListOrder;

/// When a device is worth an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertCondition {
    /// A metric is above a value, or below one:
    /// `{"metric": {"name": "memory.available_bytes", "below": 5e7}}`.
    Metric {
        /// The metric's name.
        name: String,
        /// It is larger than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        /// It is less than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
    },
    /// The device has asked for nothing for so long: `{"silent": {"seconds": 3600}}`.
    Silent {
        /// How long.
        seconds: u64,
    },
    /// Its last assignment failed: `"failed"`.
    Failed,
}

/// How much it matters.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody has to do something.
    Critical,
}

/// A rule: which devices are worth an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// When.
    pub condition: AlertCondition,
    /// How long it has to hold before the alarm is raised.
    #[serde(default)]
    pub for_seconds: u64,
    /// Only devices of one of these groups; none stands for all devices.
    #[serde(default)]
    pub groups: Vec<String>,
    /// How much it matters.
    #[serde(default)]
    pub severity: AlertSeverity,
}

/// An alarm about one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its number.
    pub id: u64,
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// The device.
    pub device: String,
    /// What is the matter, in words.
    pub message: String,
    /// Since when the condition holds.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When the alarm was raised.
    #[schema(value_type = String, format = DateTime)]
    pub fired_at: Timestamp,
    /// When the condition held no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// Who said that it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
}

/// Which alarms are wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Also those that are over.
    #[serde(default)]
    pub resolved: bool,
    /// Only those about this device.
    #[serde(default)]
    pub device: Option<String>,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<String>,
    /// Which come first.
    #[serde(default)]
    #[param(inline)]
    pub order: ListOrder,
    /// At most this many items (1 to 1000, default 100).
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}
