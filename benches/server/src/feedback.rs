//! Reports of devices, each of which is stored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use peers::PostgresDatabase;
use serde_json::json;
use updraft_http::{Client, ClientOptions, Method, Request};

use crate::Bench;
use crate::fleets::per_second;
use crate::process::processor_time;
use crate::server::{GATEWAY, Server};
use updraft_measure::{Goal, Report};

/// Devices that report, all at a time.
const DEVICES: usize = 64;
/// Settings under which what is committed is on the disk, as an installation has them.
const DURABLE: &str = "-c listen_addresses='' -c max_connections=100 -c shared_buffers=128MB";

/// On SQLite, and on PostgreSQL.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let postgres = std::sync::Arc::new(peers::Postgres::start(DURABLE)?).database()?;
    let databases: [(&str, Option<PostgresDatabase>); 2] =
        [("SQLite", None), ("PostgreSQL", Some(postgres))];
    for (name, database) in databases {
        let server = Server::start(bench, database)?;
        let (count, wall, took) = report_for(bench, &server)?;
        let goal = if name == "SQLite" { Goal::Nothing } else { Goal::AtLeast(5_000.0) };
        report.line(&format!("feedback, {name}"), per_second(count, wall), "per second", goal);
        let rate = per_second(count, took);
        report.line(&format!("feedback, {name}"), rate, "per CPU-second", Goal::Nothing);
    }
    Ok(())
}

/// How many reports were taken, in what time, for what processor time of the server.
fn report_for(bench: &Bench, server: &Server) -> Result<(f64, Duration, Duration)> {
    let (set, _) = server.make_set(b"content")?;
    let mut actions = Vec::new();
    for number in 0..DEVICES {
        let id = format!("d{number:03}");
        server.make_device(&id)?;
        let action = server.assign(&id, set)?;
        actions.push((id, action));
    }
    let (before, begun) = (processor_time(server.id())?, Instant::now());
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = actions
            .iter()
            .map(|(id, action)| {
                let count = &count;
                scope.spawn(move || -> Result<()> {
                    let client = Client::new(&ClientOptions::default())?;
                    let path = format!("/deploymentBase/{action}/feedback");
                    // The server keeps so many of one action.
                    for step in 0..900 {
                        if begun.elapsed() >= bench.time {
                            break;
                        }
                        let body = json!({ "status": { "execution": "proceeding",
                            "result": { "finished": "none" }, "details": [format!("{step}")] } });
                        tell(&client, server, id, &path, &body)?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    let wall = begun.elapsed();
    let took = processor_time(server.id())?.saturating_sub(before);
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let count = count.into_inner() as f64;
    Ok((count, wall, took))
}

fn tell(
    client: &Client,
    server: &Server,
    id: &str,
    rest: &str,
    body: &serde_json::Value,
) -> Result<()> {
    let url = format!("{}/default/controller/v1/{id}{rest}", server.plain);
    let request = Request::new(Method::Post, url)
        .header("Authorization", format!("GatewayToken {GATEWAY}"))
        .header("Content-Type", "application/json")
        .body(body.to_string().into_bytes());
    let answer = client.send(request)?;
    let status = answer.status;
    let said = answer.bytes(1 << 20)?;
    ensure!(status == 200, "{id}{rest}: {status} {}", String::from_utf8_lossy(&said));
    Ok(())
}
