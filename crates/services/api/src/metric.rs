//! What devices measure: memory, disk, temperature, and whatever else they send.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The newest value of one of a device's metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metric {
    /// Its name, with dots between its parts: `memory.available_bytes`.
    pub name: String,
    /// When it was measured, by the device's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value, in the unit that the name ends with.
    pub value: f64,
}

/// How finely values are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricResolution {
    /// Each value as it was sent. Kept for `telemetry.raw_hours`.
    Raw,
    /// One for each hour. Kept for `telemetry.hourly_days`.
    Hourly,
}

/// Which values are wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricQuery {
    /// From this time on; a day before `to` when absent.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Up to this time; now when absent.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Chosen by the length of time when absent: raw for up to two days.
    #[serde(default)]
    #[param(inline)]
    pub resolution: Option<MetricResolution>,
}

/// A metric of a device over time, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricSeries {
    /// The metric's name.
    pub name: String,
    /// How finely.
    pub resolution: MetricResolution,
    /// The values. At most 5000; then `truncated` is true, and the oldest are left out.
    pub points: Vec<MetricPoint>,
    /// Whether there are more.
    pub truncated: bool,
}

/// A value, or what an hour's values come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricPoint {
    /// When it was measured, or the begin of the hour.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value, or the mean of the hour.
    pub value: f64,
    /// The least of the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The largest of the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
}
