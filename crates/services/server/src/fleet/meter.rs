//! What Prometheus is told of the server: requests, and the fleet in numbers
//! (OpenMetrics 1.0, text format).

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::values;

/// Upper bounds of the times of requests, in seconds.
const TIMES: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// What was asked, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    interface: &'static str,
    /// The first digit of the status: `2xx`.
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Interface {
    interface: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// Counts requests.
pub(crate) struct Meter {
    requests: Family<Asked, Counter>,
    times: Family<Interface, Histogram>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        let new: fn() -> Histogram = || Histogram::new(TIMES);
        Self { requests: Family::default(), times: Family::new_with_constructor(new) }
    }
}

impl Meter {
    /// Counts a request of an interface that was answered with this status after this time.
    pub(crate) fn count(&self, interface: &'static str, status: u16, time: Duration) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&Asked { interface, status }).inc();
        self.times.get_or_create(&Interface { interface }).observe(time.as_secs_f64());
    }
}

impl Fleet {
    /// Everything in numbers, as OpenMetrics.
    pub fn metrics_text(&self) -> Result<String> {
        let overview = self.overview()?;
        let newest = self.newest_event()?;
        let mut registry = Registry::with_prefix("updraft");
        let meter = &self.meter;
        registry.register("requests", "Requests that were answered", meter.requests.clone());
        registry.register("request_seconds", "Time until the answer", meter.times.clone());
        let devices = Family::<State, Gauge>::default();
        for count in &overview.states {
            let state = State { state: values::word(count.state) };
            devices.get_or_create(&state).set(values::stored(count.devices));
        }
        registry.register("devices", "Devices in each state", devices);
        let attention = Family::<Reason, Gauge>::default();
        for one in &overview.attention {
            let reason = Reason { reason: values::word(one.reason) };
            attention.get_or_create(&reason).set(values::stored(one.devices));
        }
        registry.register("devices_need_attention", "Devices to look at, and why", attention);
        let rollouts = Family::<State, Gauge>::default();
        for rollout in &overview.rollouts {
            rollouts.get_or_create(&State { state: values::word(rollout.state) }).inc();
        }
        registry.register("rollouts", "Rollouts that have not ended, by state", rollouts);
        let events = Counter::<u64, AtomicU64>::default();
        events.inner().store(newest, std::sync::atomic::Ordering::Relaxed);
        registry.register("events", "Events that were ever appended", events);
        let started = Gauge::<i64>::default();
        started.set(self.started_at.as_second());
        registry.register("start_time_seconds", "When this process began, since 1970", started);
        let mut text = String::new();
        text::encode(&mut text, &registry).map_err(|error| Error::Internal {
            action: "write metrics",
            reason: error.to_string(),
        })?;
        Ok(text)
    }

    /// Fails where requests would, since the database or the store of content does not answer.
    pub fn check_ready(&self) -> Result<()> {
        self.newest_event()?;
        self.contents.check_reachable()
    }
}
