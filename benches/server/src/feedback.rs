//! Reports of devices, each of which is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use peers::PostgresDatabase;

use crate::fleets::per_second;
use crate::load::Kept;
use crate::process::{processor_time, processor_time_below};
use crate::server::{GATEWAY, Server};
use crate::{Bench, DATABASES};
use updraft_measure::{Goal, Report, median};

/// Devices that report, all at a time.
const DEVICES: usize = 64;
/// How often they do so for the time that a load lasts. Each begins with new actions.
const RUNS: usize = 3;
/// How many reports of one action there are, at most: the server keeps so many.
const STEPS: u32 = 900;

/// What came of one run, per second.
struct Run {
    /// Of time.
    wall: f64,
    /// Of the server's processor time.
    server: f64,
    /// Of the processor time of all of PostgreSQL's processes.
    database: Option<f64>,
}

/// On SQLite, and on PostgreSQL.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for name in DATABASES {
        let database = Bench::database(name)?;
        let server = Server::start(bench, database.clone())?;
        for number in 0..DEVICES {
            server.make_device(&device(number))?;
        }
        let mut runs = Vec::new();
        for number in 0..RUNS {
            let (set, _) = server.make_set(&number.to_string(), b"content")?;
            runs.push(run(bench, &server, database.as_ref(), set)?);
        }
        let of = |rate: fn(&Run) -> f64| median(runs.iter().map(rate).collect());
        let goal = if database.is_none() { Goal::Nothing } else { Goal::AtLeast(5_000.0) };
        report.line(&format!("feedback, {name}"), of(|run| run.wall), "per second", goal);
        let what = format!("feedback, {name}");
        report.line(&what, of(|run| run.server), "per CPU-second", Goal::Nothing);
        if database.is_some() {
            let rate = of(|run| run.database.unwrap_or_default());
            report.line(&what, rate, "per CPU-second of PostgreSQL", Goal::Nothing);
        }
    }
    Ok(())
}

fn device(number: usize) -> String {
    format!("d{number:03}")
}

/// All devices report of new actions, as fast as they can.
fn run(
    bench: &Bench,
    server: &Server,
    database: Option<&PostgresDatabase>,
    set: i64,
) -> Result<Run> {
    let mut paths = Vec::new();
    for number in 0..DEVICES {
        let id = device(number);
        let action = server.assign(&id, set)?;
        paths.push(format!("/default/controller/v1/{id}/deploymentBase/{action}/feedback"));
    }
    let of_database = || {
        let process = database.map(|database| database.server.process()).transpose()?;
        process.map(processor_time_below).transpose()
    };
    let before = (processor_time(server.id())?, of_database()?);
    let begun = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .iter()
            .map(|path| {
                let count = &count;
                scope.spawn(move || report(server, path, (begun, bench.time), count))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    let wall = begun.elapsed();
    let took = processor_time(server.id())?.saturating_sub(before.0);
    let database = Option::zip(of_database()?, before.1);
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let count = count.load(Ordering::Relaxed) as f64;
    Ok(Run {
        wall: per_second(count, wall),
        server: per_second(count, took),
        database: database.map(|(now, then)| per_second(count, now.saturating_sub(then))),
    })
}

fn report(
    server: &Server,
    path: &str,
    (begun, time): (Instant, Duration),
    count: &AtomicU64,
) -> Result<()> {
    let mut connection = Kept::connect(&server.plain)?;
    let token = format!("GatewayToken {GATEWAY}");
    for step in 0..STEPS {
        if begun.elapsed() >= time {
            break;
        }
        let body = format!(
            r#"{{"status":{{"execution":"proceeding","result":{{"finished":"none"}},"details":["{step}"]}}}}"#
        );
        let status = connection.post(path, &token, &body)?;
        ensure!(status == 200, "{path}: {status}");
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
