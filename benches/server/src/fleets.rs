//! Polls, as `updraft-sim` makes them without a pause.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::Bench;
use crate::server::{GATEWAY, Server, text};
use updraft_measure::{Goal, Report};

/// Devices that poll without a pause.
const DEVICES: &str = "1000";
/// Devices with connections of their own.
const WITH_TLS: &str = "200";

/// Idle polls: nothing is new, and the device says so (ETag).
pub(crate) fn polls(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = Server::start(bench, None)?;
    let time = format!("{}s", bench.time.as_secs());
    let url = server.plain.clone();
    let fleet = ["ddi", "--url", &url, "--gateway-token", GATEWAY, "--devices", DEVICES];
    // They become known, and tell their attributes.
    let first = ["--interval", "1s", "--for", "8s", "--ramp", "2s"];
    server.play(&[&fleet[..], &first].concat())?;
    let load = ["--interval", "0s", "--for", &time, "--ramp", "0s", "--connections", "32"];
    let load = [&fleet[..], &load].concat();
    for (how, reuse, goal) in
        [("kept connections", "kept", 10_000.0), ("new connections", "new", 3_000.0)]
    {
        let (summary, took) = server.play(&[&load[..], &["--reuse", reuse]].concat())?;
        let rate = per_second(count(&summary, "poll")?, took);
        let what = format!("DDI, idle poll with ETag, {how}");
        report.line(&what, rate, "per CPU-second", Goal::AtLeast(goal));
    }
    Ok(())
}

/// Whole polls of Uptane: a manifest that is verified and stored, and four files.
pub(crate) fn uptane(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = Server::start(bench, None)?;
    let credentials = server.credentials()?;
    let state = server.path("state");
    let (credentials, state) = (text(&credentials)?, text(&state)?);
    let fleet = ["uptane", "--credentials", credentials, "--state", state, "--devices", WITH_TLS];
    let first = ["--interval", "1s", "--for", "8s", "--ramp", "2s", "--verify", "fetch-only"];
    server.play(&[&fleet[..], &first].concat())?;
    let time = format!("{}s", bench.time.as_secs());
    let load = ["--interval", "0s", "--for", &time, "--ramp", "0s", "--connections", "32"];
    let load = [&fleet[..], &load, &["--verify", "fetch-only"]].concat();
    let ways = [
        ("kept connections", ["--reuse", "kept", "--handshakes", "resumed"], 2_000.0),
        ("resumed handshakes", ["--reuse", "new", "--handshakes", "resumed"], 1_000.0),
        ("full handshakes", ["--reuse", "new", "--handshakes", "full"], 750.0),
    ];
    for (how, options, goal) in ways {
        let (summary, took) = server.play(&[&load[..], &options].concat())?;
        let rate = per_second(count(&summary, "manifest")?, took);
        let what = format!("Uptane, whole poll, {how}");
        report.line(&what, rate, "per CPU-second", Goal::AtLeast(goal));
    }
    Ok(())
}

/// How many of a kind a summary counts.
pub(crate) fn count(summary: &Value, kind: &str) -> Result<f64> {
    let count = summary["totals"]["kinds"][kind]["count"].as_f64();
    count.with_context(|| format!("no {kind} in the summary: {summary}"))
}

/// A rate.
pub(crate) fn per_second(count: f64, time: Duration) -> f64 {
    count / time.as_secs_f64().max(0.01)
}
