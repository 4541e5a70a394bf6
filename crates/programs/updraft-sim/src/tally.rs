//! What is counted while a fleet runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;
/// Decimal digits to which times are kept.
const DIGITS: u8 = 3;
/// The most texts of errors that are kept apart.
const MAX_ERRORS: usize = 50;

/// What a device did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// TCP, and TLS with a whole handshake.
    Connect,
    /// TCP, and TLS with a handshake that goes on from an earlier one.
    Resume,
    /// DDI: asked what there is to do.
    Poll,
    /// DDI: told its attributes.
    Attributes,
    /// DDI: asked for an action.
    Deployment,
    /// DDI: agreed to an action.
    Confirmation,
    /// Fetched an artifact or a target.
    Download,
    /// DDI: reported how far it is.
    Feedback,
    /// DDI: asked what to stop.
    Cancel,
    /// Uptane: asked for its certificate.
    Provision,
    /// Uptane: told of its ECU.
    Register,
    /// Uptane: sent a manifest.
    Manifest,
    /// Uptane: fetched a metadata file.
    Metadata,
    /// How late a device was visited: above some milliseconds it is this program, or the number of
    /// its connections, that is too small.
    Late,
}

impl Kind {
    /// Whether it is a request of HTTP.
    fn is_request(self) -> bool {
        !matches!(self, Self::Connect | Self::Resume | Self::Late)
    }
}

/// What became of actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Actions {
    /// Begun.
    pub(crate) begun: u64,
    /// Reported as done.
    pub(crate) finished: u64,
    /// Reported as failed.
    pub(crate) failed: u64,
    /// Stopped because the server said so.
    pub(crate) cancelled: u64,
    /// Begun by devices that then went silent.
    pub(crate) silent: u64,
}

/// How the fleet is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Devices {
    /// Devices that joined after the beginning, in the place of others.
    pub(crate) joined: u64,
    /// Devices that left.
    pub(crate) left: u64,
    /// Devices that went silent.
    pub(crate) silent: u64,
    /// Downloads whose content was not what the server had said.
    pub(crate) wrong_content: u64,
    /// Bytes downloaded.
    pub(crate) downloaded_bytes: u64,
}

#[derive(Debug)]
struct Seen {
    times: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    errors: u64,
}

impl Default for Seen {
    fn default() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, DIGITS);
        let times = times.expect("the bounds are constants that fit each other");
        Self { times, statuses: BTreeMap::new(), errors: 0 }
    }
}

#[derive(Debug, Default)]
struct Counted {
    kinds: BTreeMap<Kind, Seen>,
    errors: BTreeMap<String, u64>,
    actions: Actions,
    devices: Devices,
    /// The second that goes on since the first visit, its visits, and the most of any.
    second: (u64, u64),
    peak: u64,
    begun: Option<Instant>,
}

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counted>);

/// What was seen of one kind of request. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct KindSummary {
    /// How many.
    pub(crate) count: u64,
    /// Those without an answer.
    pub(crate) errors: u64,
    /// Answers by status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Half of them took at most this.
    pub(crate) p50_ms: f64,
    /// Nine of ten.
    pub(crate) p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub(crate) p99_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

/// All that was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Totals {
    /// Requests, answered or not.
    pub(crate) requests: u64,
    /// The most polls or manifests that were answered in one second.
    pub(crate) peak_visits_per_second: u64,
    /// Requests and connections that failed.
    pub(crate) failed_requests: u64,
    /// Answers that refuse something: statuses from 400, but for 404 of metadata, which is how a
    /// chain of roots ends.
    pub(crate) refusals: u64,
    /// By kind.
    pub(crate) kinds: BTreeMap<Kind, KindSummary>,
    /// Errors in words, and how often.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What became of actions.
    pub(crate) actions: Actions,
    /// How the fleet is.
    pub(crate) devices: Devices,
}

impl Tally {
    /// Something took this long and was answered with this status, if it is a request.
    pub(crate) fn took(&self, kind: Kind, time: Duration, status: Option<u16>) {
        let mut counted = self.counted();
        if matches!(kind, Kind::Poll | Kind::Manifest) {
            counted.visit();
        }
        let seen = counted.kinds.entry(kind).or_default();
        seen.times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST));
        if let Some(status) = status {
            *seen.statuses.entry(status).or_default() += 1;
        }
    }

    /// Something failed.
    pub(crate) fn failed(&self, kind: Kind, error: &impl std::fmt::Display) {
        self.counted().kinds.entry(kind).or_default().errors += 1;
        self.said(error);
    }

    /// Notes an error in words, which was counted otherwise.
    pub(crate) fn said(&self, error: &impl std::fmt::Display) {
        let mut counted = self.counted();
        let text = error.to_string();
        if counted.errors.len() < MAX_ERRORS || counted.errors.contains_key(&text) {
            *counted.errors.entry(text).or_default() += 1;
        }
    }

    /// Counts actions.
    pub(crate) fn actions(&self, count: impl FnOnce(&mut Actions)) {
        count(&mut self.counted().actions);
    }

    /// Counts devices.
    pub(crate) fn devices(&self, count: impl FnOnce(&mut Devices)) {
        count(&mut self.counted().devices);
    }

    /// All that was seen until now.
    pub(crate) fn totals(&self) -> Totals {
        let counted = self.counted();
        let (mut requests, mut failed_requests, mut refusals) = (0, 0, 0);
        let mut kinds = BTreeMap::new();
        for (kind, seen) in &counted.kinds {
            let of_kind = summary(seen);
            failed_requests += seen.errors;
            if kind.is_request() {
                requests += of_kind.count;
                let refused = seen.statuses.iter().filter(|(status, _)| {
                    **status >= 400 && !(*kind == Kind::Metadata && **status == 404)
                });
                refusals += refused.map(|(_, count)| *count).sum::<u64>();
            }
            kinds.insert(*kind, of_kind);
        }
        Totals {
            requests,
            peak_visits_per_second: counted.peak,
            failed_requests,
            refusals,
            kinds,
            errors: counted.errors.clone(),
            actions: counted.actions,
            devices: counted.devices,
        }
    }

    /// A poisoned lock guards numbers, each of which is right.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn visit(&mut self) {
        let second = self.begun.get_or_insert_with(Instant::now).elapsed().as_secs();
        let (current, visits) = &mut self.second;
        *visits = if *current == second { *visits + 1 } else { 1 };
        *current = second;
        self.peak = self.peak.max(*visits);
    }
}

fn summary(seen: &Seen) -> KindSummary {
    #[allow(clippy::cast_precision_loss, reason = "ten minutes in microseconds fit")]
    let milliseconds = |micros: u64| micros as f64 / 1000.0;
    let at = |quantile| milliseconds(seen.times.value_at_quantile(quantile));
    KindSummary {
        count: seen.times.len() + seen.errors,
        errors: seen.errors,
        statuses: seen.statuses.clone(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        max_ms: milliseconds(seen.times.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_roots_that_ends_is_no_refusal() {
        let tally = Tally::default();
        tally.took(Kind::Metadata, Duration::from_millis(2), Some(404));
        tally.took(Kind::Poll, Duration::from_millis(4), Some(404));
        tally.took(Kind::Connect, Duration::from_millis(1), None);
        tally.failed(Kind::Poll, &"cut off");
        let totals = tally.totals();
        assert_eq!((totals.requests, totals.refusals, totals.failed_requests), (3, 1, 1));
        let poll = &totals.kinds[&Kind::Poll];
        assert_eq!((poll.count, poll.errors), (2, 1));
        assert!((3.9..4.1).contains(&poll.p50_ms), "{poll:?}");
    }
}
