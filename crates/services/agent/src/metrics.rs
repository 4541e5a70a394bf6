//! What the device measures, sent to the server now and then: processor, memory, disk, temperature,
//! and what programs of its maker say.
//!
//! The form is that of Fluent Bit's `http` output (`format json`), a list of records, each with a
//! `date`. What could not be sent is kept in memory and sent later, with its own time.

mod machine;
mod programs;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use updraft_task::Context;

use crate::session::Session;
use crate::{Error, Result};

/// Where servers take them, Torizon's too.
const PATH: &str = "monitoring/updraft";
/// How many records wait for the server: a day, at one every five minutes.
const MAX_WAITING: usize = 288;

/// What is remembered between two records.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    measured_at: Option<Timestamp>,
    processor: Option<machine::ProcessorTime>,
    waiting: VecDeque<Value>,
    /// The server has no place for metrics.
    is_unwanted: bool,
}

/// Measures when it is time, and sends what waits. Fails only when the work is cancelled: nothing of
/// this is worth failing an update for.
pub(crate) fn send(ctx: &Context, session: &Session) -> Result<()> {
    let period = session.settings.telemetry.metrics_sec;
    if period == 0 {
        return Ok(());
    }
    let now = session.now();
    let mut state = session.metrics.lock();
    let is_time = state.measured_at.is_none_or(|last| {
        let passed = now.duration_since(last);
        // A clock that was set back must not end it.
        passed.is_negative() || passed.unsigned_abs().as_secs() >= period
    });
    if state.is_unwanted || !is_time {
        return Ok(());
    }
    state.measured_at = Some(now);
    let record = measure(ctx, session, &mut state.processor, now)?;
    if state.waiting.len() >= MAX_WAITING {
        state.waiting.pop_front();
    }
    state.waiting.push_back(record);
    let body = serde_json::to_vec(&state.waiting).unwrap_or_default();
    match session.gateway.send_metrics(ctx, PATH, body) {
        Ok(404 | 405) => {
            tracing::info!("the server takes no metrics; none are sent until the next start");
            state.is_unwanted = true;
            state.waiting.clear();
        }
        Ok(200..300) => state.waiting.clear(),
        // It will not be taken the next time either.
        Ok(status @ 400..500) => {
            tracing::warn!(status, "the server does not take the metrics");
            state.waiting.clear();
        }
        Ok(status) => tracing::debug!(status, "metrics wait for the server"),
        Err(Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => tracing::debug!(%error, "metrics wait for the server"),
    }
    Ok(())
}

impl Metrics {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measure(
    ctx: &Context,
    session: &Session,
    processor: &mut Option<machine::ProcessorTime>,
    now: Timestamp,
) -> Result<Value> {
    let settings = &session.settings;
    let mut record = machine::measure(&settings.storage.path, processor);
    record.extend(programs::run(ctx, &settings.telemetry.metrics_path)?);
    if crate::clock::is_plausible(now) {
        record.insert("date".to_owned(), json!(now.as_duration().as_secs_f64()));
    }
    Ok(Value::Object(record))
}

/// A group of numbers; those that could not be measured are left out.
fn group<const N: usize>(numbers: [(&str, Option<f64>); N]) -> Option<Value> {
    let known =
        numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    let known: Map<String, Value> = known.collect();
    (!known.is_empty()).then_some(Value::Object(known))
}
