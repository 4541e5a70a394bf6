//! `updraft device metrics`.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use updraft_api::{Metric, MetricSeries, paths};
use updraft_terminal::{Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// Which of them.
#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// The device's id.
    device: String,
    /// The metric to show over time, such as `memory.available_bytes`; without it the newest values
    /// of all are listed.
    metric: Option<String>,
    /// From this time on, such as 2026-01-31T00:00:00Z; a day before the end when absent.
    #[arg(long, value_name = "TIME", requires = "metric")]
    from: Option<Timestamp>,
    /// Up to this time; now when absent.
    #[arg(long, value_name = "TIME", requires = "metric")]
    to: Option<Timestamp>,
    /// How finely; chosen by the length of time when absent.
    #[arg(long, value_enum, requires = "metric")]
    resolution: Option<Resolution>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Resolution {
    /// Each value; the server keeps these for two days, unless it is configured otherwise
    Raw,
    /// Least, mean and largest value of each hour, kept for three months
    Hourly,
}

impl Metrics {
    pub(super) fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let Some(metric) = &self.metric else {
            let newest: Vec<Metric> = server.get(&paths::device_metrics(&self.device))?;
            return terminal.show(&newest, |newest| terminal.table(&list(newest)));
        };
        let path = format!("{}{}", paths::device_metric(&self.device, metric), self.query());
        let series: MetricSeries = server.get(&path)?;
        terminal.show(&series, |series| {
            if series.truncated {
                terminal.say("there are more values: these are the newest");
            }
            terminal.table(&over_time(series))
        })
    }

    fn query(&self) -> String {
        let resolution = self.resolution.map(|it| match it {
            Resolution::Raw => "raw",
            Resolution::Hourly => "hourly",
        });
        let parts = [
            self.from.map(|from| format!("from={from}")),
            self.to.map(|to| format!("to={to}")),
            resolution.map(|resolution| format!("resolution={resolution}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

fn list(metrics: &[Metric]) -> Table {
    let mut table = Table::new(["metric", "value", "measured"]);
    for metric in metrics {
        table.row([metric.name.clone(), number(metric.value), text::time(metric.at)]);
    }
    table
}

fn over_time(series: &MetricSeries) -> Table {
    let mut table = Table::new(["time", "value", "least", "largest"]);
    for point in &series.points {
        table.row([
            text::time(point.at),
            number(point.value),
            point.minimum.map(number).unwrap_or_default(),
            point.maximum.map(number).unwrap_or_default(),
        ]);
    }
    table
}

/// With two places, unless it is a whole number.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
