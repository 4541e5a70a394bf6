//! Large fleets, which are written into the database as their devices would have been.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use updraft_http::Method;

use crate::process::memory;
use crate::server::{GATEWAY, Server};
use crate::{Bench, DATABASES};
use updraft_measure::{Goal, Report, median};

/// How often each list is asked for.
const TIMES: usize = 5;
/// How many rollouts are created.
const ROLLOUTS: usize = 3;

/// A rollout for all devices, and the server's memory after each has polled.
pub(crate) fn fleet(bench: &Bench, report: &mut Report) -> Result<()> {
    for name in DATABASES {
        let server = Server::start(bench, Bench::database(name)?)?;
        let (set, _) = server.make_set("1", b"content")?;
        server.send(
            Method::Post,
            "/api/v1/releases",
            &json!({ "name": "v1", "distribution_sets": [{ "id": set }] }),
        )?;
        seed(&server, bench.devices)?;
        let devices = bench.devices.to_string();
        let url = server.plain.clone();
        let sim = ["ddi", "--url", &url, "--gateway-token", GATEWAY, "--devices", &devices];
        let once = ["--interval", "1h", "--ramp", "60s", "--for", "75s", "--connections", "64"];
        server.play(&[&sim[..], &once].concat())?;
        report.line(
            &format!("memory after polls of {} devices, {name}", bench.devices),
            memory(server.id(), "VmHWM")?,
            "MiB, most",
            Goal::AtMost(250.0),
        );
        let mut times = Vec::new();
        for number in 0..ROLLOUTS {
            let body = json!({ "name": format!("r{number}"), "release": "v1",
                "phases": [{ "percent": 1 }, { "percent": 100 }], "manual_start": true });
            let create = |server: &Server| server.send(Method::Post, "/api/v1/rollouts", &body);
            let (_, took) = server.timed(create)?;
            times.push(took.as_secs_f64());
        }
        report.line(
            &format!("creation of a rollout for {} devices, {name}", bench.devices),
            median(times),
            "s",
            Goal::AtMost(3.0),
        );
    }
    Ok(())
}

/// A page of a long list, filtered.
pub(crate) fn list(bench: &Bench, report: &mut Report) -> Result<()> {
    for name in DATABASES {
        let server = Server::start(bench, Bench::database(name)?)?;
        server.make_device("sim-ddi-first")?;
        seed(&server, bench.listed)?;
        for (what, path) in [
            ("devices by attribute", "/api/v1/devices?limit=50&filter=attribute.serial%3D%3D77"),
            ("targets by name", "/rest/v1/targets?limit=50&q=name%3D%3Dsim-ddi-00007*"),
            ("targets by attribute", "/rest/v1/targets?limit=50&q=attribute.serial%3D%3D77"),
            ("targets by state", "/rest/v1/targets?limit=50&q=updatestatus%3D%3Derror"),
        ] {
            let mut times = Vec::new();
            let mut refused = None;
            for _ in 0..TIMES {
                match server.timed(|server| server.get(path)) {
                    Ok((_, took)) => times.push(milliseconds(took)),
                    Err(error) => refused = Some(error),
                }
            }
            let line = format!("{what}, of {}, {name}", bench.listed);
            match refused {
                None => report.line(&line, median(times), "ms", Goal::AtMost(200.0)),
                Some(error) => report.skip(&line, &format!("{error:?}")),
            }
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Devices of hawkBit that have polled and told their attributes, with the names that
/// `updraft-sim` gives them.
fn seed(server: &Server, devices: u32) -> Result<()> {
    let last = devices.saturating_sub(1);
    let (numbers, certificate) = if server.is_on_postgres() {
        let numbers = format!(
            "SELECT n, 'sim-ddi-' || lpad(n::text, 6, '0') AS id
             FROM generate_series(0::bigint, {last}) n"
        );
        (numbers, "decode(repeat('00', 32), 'hex')")
    } else {
        let numbers = format!(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {last})
             SELECT n, 'sim-ddi-' || printf('%06d', n) AS id FROM n"
        );
        (numbers, "zeroblob(32)")
    };
    server.sql(&format!(
        "BEGIN;
         CREATE TEMP TABLE numbers AS {numbers};
         INSERT INTO devices (id, certificate, registered_at, protocol)
             SELECT id, {certificate}, 1790000000000, 'ddi' FROM numbers;
         INSERT INTO action_devices (device, name, security_token, address, update_status,
                 request_attributes, created_by, created_at, modified_by, modified_at)
             SELECT id, id, 'token' || n, 'http://127.0.0.1', 'registered', 0, 'bench',
                 1790000000000, 'bench', 1790000000000 FROM numbers;
         INSERT INTO device_attributes (device, key, value)
             SELECT id, 'device_type', 'sim-ddi' FROM numbers
             UNION ALL SELECT id, 'serial', CAST(n AS TEXT) FROM numbers;
         COMMIT;"
    ))?;
    // PostgreSQL does so by itself, a minute later.
    if server.is_on_postgres() { server.sql("ANALYZE") } else { Ok(()) }
}
