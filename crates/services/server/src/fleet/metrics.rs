//! What devices measure: taken in the form that Fluent Bit's `http` output sends (`format json`), as
//! devices of Torizon do, and ours.
//!
//! A body is a list of records, or one. A record is an object with `date`, in seconds since 1970, and
//! numbers, which may be in objects: `{"date": 1.5, "memory": {"free": 7}}` is `memory.free`. Truth is
//! 1 or 0; texts and lists are passed over, for they cannot be drawn.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use updraft_api::{Metric, MetricPoint, MetricQuery, MetricResolution, MetricSeries};

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::devices;
use crate::storage::metrics::{self, Sample, Stretch};

/// The most metrics that a device may have.
const MAX_METRICS: usize = 256;
/// The most values in one body.
const MAX_SAMPLES: usize = 20_000;
/// The longest name of a metric, in bytes.
const MAX_NAME: usize = 128;
/// How deep numbers may be in a record.
const MAX_DEPTH: usize = 4;
/// The most values that a series shows.
const MAX_POINTS: u32 = 5000;
/// A clock that is ahead by more is wrong: the server's is taken.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// What is asked for when nobody says since when.
const USUAL_STRETCH: SignedDuration = SignedDuration::from_hours(24);
/// The longest stretch that is shown value by value when nobody says how.
const RAW_STRETCH: SignedDuration = SignedDuration::from_hours(48);

impl Fleet {
    /// Stores what a device measured, in one transaction.
    pub fn store_metrics(&self, device: &str, records: Value) -> Result<()> {
        let now = self.now();
        let (kept_since, _) = self.metrics_kept_since(now);
        let samples = samples(records, now)?;
        // Only that is kept of which it is known whether it was sent before.
        let samples: Vec<Sample> =
            samples.into_iter().filter(|sample| sample.at >= kept_since).collect();
        self.database.write_together("store metrics", |tx| {
            for sample in &samples {
                metrics::insert(tx, device, sample)?;
            }
            let count = metrics::newest(tx, device)?.len();
            if count > MAX_METRICS {
                let reason = format!("the device would have {count}, and may have {MAX_METRICS}");
                return Err(Error::invalid("the metrics", reason));
            }
            Ok(())
        })
    }

    /// The newest value of each metric of a device.
    pub fn metrics(&self, device: &str) -> Result<Vec<Metric>> {
        self.database.read("list metrics", |reader| {
            devices::require(reader, device)?;
            metrics::newest(reader, device)
        })
    }

    /// A metric of a device over time.
    pub fn metric_series(
        &self,
        device: &str,
        name: &str,
        query: &MetricQuery,
    ) -> Result<MetricSeries> {
        let to = query.to.unwrap_or_else(|| self.now());
        let from = match query.from {
            Some(from) => from,
            None => to.checked_sub(USUAL_STRETCH).unwrap_or(Timestamp::MIN),
        };
        if from > to {
            return Err(Error::invalid("the query", "`from` is after `to`"));
        }
        let is_short = to.duration_since(from) <= RAW_STRETCH;
        let usual = if is_short { MetricResolution::Raw } else { MetricResolution::Hourly };
        let resolution = query.resolution.unwrap_or(usual);
        let stretch = Stretch { device, name, from, to, limit: MAX_POINTS + 1 };
        let points = self.database.read("show a metric", |reader| {
            devices::require(reader, device)?;
            match resolution {
                MetricResolution::Raw => metrics::points(reader, stretch),
                MetricResolution::Hourly => metrics::hours(reader, stretch),
            }
        })?;
        let mut points: Vec<MetricPoint> =
            points.ok_or_else(|| Error::not_found("metric", name))?;
        let truncated = points.len() > MAX_POINTS as usize;
        points.truncate(MAX_POINTS as usize);
        points.reverse();
        Ok(MetricSeries { name: name.to_owned(), resolution, points, truncated })
    }

    /// Removes values that were kept for long enough.
    pub fn prune_metrics(&self) -> Result<()> {
        let (raw, hourly) = self.metrics_kept_since(self.now());
        let has_old = |reader: &_| metrics::has_old(reader, raw, hourly);
        if self.database.read("look for old metrics", has_old)? {
            self.database.write("remove old metrics", |tx| metrics::prune(tx, raw, hourly))?;
        }
        Ok(())
    }

    /// Since when values are kept, and hours.
    pub(super) fn metrics_kept_since(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let telemetry = &self.config.telemetry;
        let before = |hours: i64| {
            now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN)
        };
        (before(telemetry.raw_hours.into()), before(24 * i64::from(telemetry.hourly_days)))
    }
}

fn samples(records: Value, now: Timestamp) -> Result<Vec<Sample>> {
    let records = match records {
        Value::Array(records) => records,
        one => vec![one],
    };
    let mut samples = Vec::new();
    for record in records {
        let Value::Object(mut record) = record else {
            return Err(Error::invalid("the metrics", "a record is not an object"));
        };
        let at = measured_at(record.remove("date"), now)?;
        flatten(&record, "", at, MAX_DEPTH, &mut samples)?;
    }
    Ok(samples)
}

/// A device without a clock starts in 1970; nothing from then would be kept, so its time is now.
fn measured_at(date: Option<Value>, now: Timestamp) -> Result<Timestamp> {
    let wrong = || Error::invalid("the metrics", "`date` is not a number of seconds since 1970");
    let at = match date {
        None => return Ok(now),
        Some(Value::Number(seconds)) => {
            let seconds = seconds.as_f64().ok_or_else(wrong)?;
            let since = SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
            Timestamp::from_duration(since).map_err(|_| wrong())?
        }
        Some(_) => return Err(wrong()),
    };
    let is_ahead = at.duration_since(now) > AHEAD;
    Ok(if is_ahead || !is_plausible(at) { now } else { at })
}

/// No correct clock shows a time before 2025.
fn is_plausible(at: Timestamp) -> bool {
    at.as_second() >= 1_735_689_600
}

fn flatten(
    record: &Map<String, Value>,
    prefix: &str,
    at: Timestamp,
    depth: usize,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    for (key, value) in record {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let value = match value {
            Value::Object(inner) if depth > 1 => {
                flatten(inner, &name, at, depth - 1, samples)?;
                continue;
            }
            Value::Number(number) => number.as_f64().filter(|value| value.is_finite()),
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            _ => None,
        };
        let Some(value) = value else { continue };
        check_name(&name)?;
        samples.push(Sample { name, at, value });
        if samples.len() > MAX_SAMPLES {
            return Err(Error::TooLarge { what: "the metrics", limit: MAX_SAMPLES as u64 });
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_good) {
        return Ok(());
    }
    let name = name.chars().take(MAX_NAME).collect::<String>();
    let reason =
        format!("`{}` is no name: 1 to {MAX_NAME} of A-Z a-z 0-9 . _ - : /", name.escape_default());
    Err(Error::invalid("the metrics", reason))
}

#[cfg(test)]
mod tests {
    use super::samples;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().expect("a time")
    }

    fn read(records: Value) -> Vec<(String, i64, f64)> {
        let read = samples(records, now()).expect("good");
        read.into_iter().map(|it| (it.name, it.at.as_millisecond(), it.value)).collect()
    }

    #[test]
    fn records_are_flattened_and_what_cannot_be_drawn_is_passed_over() {
        let at = now().as_second() - 60;
        let half_past: Value = format!("{at}.5").parse().expect("a number");
        let records = json!([
            { "date": half_past, "cpu": { "p_cpu": 1.5, "cpu0": { "user": 2 } }, "alive": true },
            { "Mem.free": 7, "name": "zone", "list": [1], "none": null },
        ]);
        let (first, now) = (at * 1000 + 500, now().as_millisecond());
        let mut found = read(records);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            found,
            [
                ("Mem.free".to_owned(), now, 7.0),
                ("alive".to_owned(), first, 1.0),
                ("cpu.cpu0.user".to_owned(), first, 2.0),
                ("cpu.p_cpu".to_owned(), first, 1.5),
            ]
        );
    }

    #[test]
    fn a_clock_that_is_wrong_is_replaced() {
        let ahead = now().as_second() + 3600;
        for date in [json!(0), json!(86_400.25), json!(ahead)] {
            let found = read(json!({ "date": date, "a": 1 }));
            assert_eq!(found, [("a".to_owned(), now().as_millisecond(), 1.0)], "{date}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let deep = json!({ "a": { "b": { "c": { "d": { "e": 1 } } } } });
        assert_eq!(read(deep), []);
        for records in [
            json!(3),
            json!([[]]),
            json!({ "date": "yesterday", "a": 1 }),
            json!({ "date": 1e300, "a": 1 }),
            json!({ "": 1 }),
            json!({ "a b": 1 }),
            json!({ "a\n": { "b": 1 } }),
            json!({ "x".repeat(129): 1 }),
        ] {
            samples(records.clone(), now()).expect_err(&records.to_string());
        }
    }
}
