//! What is said of a run: lines while it goes on, a summary at its end.

use std::time::Duration;

use serde::Serialize;
use updraft_error::Kind as ErrorKind;
use updraft_terminal::{Failure, Result, Table, Terminal};

use crate::schedule::End;
use crate::tally::{KindSummary, Totals};

/// The shape of the summary, in `--json`.
const FORMAT: &str = "updraft-sim-summary/1";

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    format: &'static str,
    protocol: &'static str,
    seed: u64,
    devices: u32,
    ended: End,
    seconds: f64,
    requests_per_second: f64,
    totals: Totals,
}

impl Summary {
    pub(crate) fn new(
        protocol: &'static str,
        (seed, devices): (u64, u32),
        (ended, took): (End, Duration),
        totals: Totals,
    ) -> Self {
        let seconds = took.as_secs_f64();
        let requests_per_second = per_second(totals.requests, seconds);
        let format = FORMAT;
        Self { format, protocol, seed, devices, ended, seconds, requests_per_second, totals }
    }

    /// Prints it.
    pub(crate) fn show(&self, terminal: &Terminal) -> Result {
        terminal.show(self, |summary| summary.print(terminal))
    }

    fn print(&self, terminal: &Terminal) -> Result {
        let totals = &self.totals;
        terminal.line(format!(
            "{} devices, {:.1} s, {} requests ({:.0} per second), {} failed, {} refused",
            self.devices,
            self.seconds,
            totals.requests,
            self.requests_per_second,
            totals.failed_requests,
            totals.refusals,
        ))?;
        let actions = &totals.actions;
        terminal.line(format!(
            "actions: {} begun, {} finished, {} failed, {} cancelled, {} left in silence",
            actions.begun, actions.finished, actions.failed, actions.cancelled, actions.silent,
        ))?;
        let devices = &totals.devices;
        terminal.line(format!(
            "devices: {} joined, {} left, {} silent; {} bytes downloaded, {} times not what was \
             promised",
            devices.joined,
            devices.left,
            devices.silent,
            devices.downloaded_bytes,
            devices.wrong_content,
        ))?;
        let heads = ["what", "count", "p50 ms", "p90 ms", "p99 ms", "max ms", "answers"];
        let mut table = Table::new(heads);
        for (kind, of_kind) in &totals.kinds {
            let name = serde_json::to_value(kind).ok();
            let name = name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
            table.row(row(name, of_kind));
        }
        terminal.table(&table)?;
        for (error, count) in &totals.errors {
            terminal.line(format!("{count} times: {error}"))?;
        }
        Ok(())
    }

    /// What the run's end is worth.
    pub(crate) fn verdict(&self, allow_errors: f64) -> Result {
        let totals = &self.totals;
        let wrong = totals.failed_requests + totals.refusals;
        let all = totals.requests.max(totals.failed_requests).max(1);
        #[allow(clippy::cast_precision_loss, reason = "a share needs no more digits")]
        let share = wrong as f64 / all as f64;
        if self.ended == End::Interrupted {
            return Err(Failure::new(ErrorKind::Cancelled, "interrupted"));
        }
        if share > allow_errors {
            let first = totals.errors.iter().max_by_key(|(_, count)| **count);
            let first = first.map(|(text, _)| format!(", such as: {text}")).unwrap_or_default();
            let message = format!("{wrong} of {all} requests failed or were refused{first}");
            return Err(Failure::new(ErrorKind::Unavailable, message)
                .hint("look at the answers in the summary; --allow-errors lets more pass"));
        }
        Ok(())
    }
}

/// A line of progress.
pub(crate) fn progress(totals: &Totals, passed: Duration) -> String {
    let seconds = passed.as_secs_f64();
    let actions = &totals.actions;
    format!(
        "{seconds:.0} s: {} requests ({:.0} per second), {} failed, {} refused; actions: {} begun, \
         {} finished, {} failed",
        totals.requests,
        per_second(totals.requests, seconds),
        totals.failed_requests,
        totals.refusals,
        actions.begun,
        actions.finished,
        actions.failed,
    )
}

fn per_second(count: u64, seconds: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let count = count as f64;
    count / seconds.max(0.001)
}

fn row(name: String, of_kind: &KindSummary) -> [String; 7] {
    let mut answers: Vec<String> =
        of_kind.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    if of_kind.errors > 0 {
        answers.push(format!("none: {}", of_kind.errors));
    }
    let time = |milliseconds: f64| format!("{milliseconds:.1}");
    [
        name,
        of_kind.count.to_string(),
        time(of_kind.p50_ms),
        time(of_kind.p90_ms),
        time(of_kind.p99_ms),
        time(of_kind.max_ms),
        answers.join(", "),
    ]
}
