//! Polling times: how long devices wait between two polls, with overrides and jitter.
//!
//! ```text
//! time     = interval *( "," query "->" interval )
//! interval = ( HH ":" MM ":" SS / ISO 8601 duration ) [ "~" percent "%" ]
//! ```
//! Source: hawkBit's tenant configuration key `pollingTime`.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use crate::error::{Error, Result};
use crate::rsql::Query;

/// The least and the greatest interval, in seconds.
const RANGE: std::ops::RangeInclusive<u32> = 30..=86_399;
/// The most overrides.
const MAX_OVERRIDES: usize = 100;

/// How long devices wait, and which of them otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollingTime {
    /// For all devices that no query is about.
    pub default: Interval,
    /// For devices that a query is about; the first one counts.
    pub overrides: Vec<(Query, Interval)>,
}

/// A time between polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    seconds: u32,
    jitter_percent: u8,
}

/// A duration has more than 23:59:59, which `HH:MM:SS` cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl PollingTime {
    /// Reads a polling time.
    ///
    /// # Errors
    /// [`Error::Polling`] and [`Error::Query`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split("->");
        let (default, mut query) = head(parts.next().unwrap_or_default());
        let mut overrides = Vec::new();
        for part in parts {
            let Some(of) = query else {
                return Err(wrong(part, "a query must stand before `->`"));
            };
            if overrides.len() >= MAX_OVERRIDES {
                return Err(wrong(part, "there are too many overrides"));
            }
            let (interval, next) = head(part);
            overrides.push((Query::parse(of.trim())?, Interval::parse(interval)?));
            query = next;
        }
        match query {
            Some(rest) => Err(wrong(rest, "`-> HH:MM:SS` must stand behind a query")),
            None => Ok(Self { default: Interval::parse(default)?, overrides }),
        }
    }
}

/// An interval, and what stands behind the comma after it.
fn head(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((interval, rest)) => (interval, Some(rest)),
        None => (text, None),
    }
}

impl Interval {
    /// Reads one interval.
    ///
    /// # Errors
    /// [`Error::Polling`] for what is none, or not within 00:00:30 and 23:59:59.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (time, jitter) = match text.split_once('~') {
            Some((time, jitter)) => (time.trim(), Some(jitter.trim())),
            None => (text, None),
        };
        let jitter_percent = match jitter {
            None => 0,
            Some(jitter) => jitter
                .strip_suffix('%')
                .and_then(|percent| percent.trim().parse::<u8>().ok())
                .filter(|percent| *percent <= 100)
                .ok_or_else(|| wrong(text, "jitter must be like ~10%, and at most 100"))?,
        };
        let seconds =
            seconds(time).ok_or_else(|| wrong(text, "it must be like 00:05:00 or PT5M"))?;
        if !RANGE.contains(&seconds) {
            return Err(wrong(text, "it must be 00:00:30 to 23:59:59"));
        }
        Ok(Self { seconds, jitter_percent })
    }

    /// The interval without jitter.
    pub fn exact(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// The interval for one device. `chance` spreads devices over the jitter: the same number gives
    /// the same interval, so that what a device is told does not change by itself.
    pub fn spread(self, chance: u64) -> Duration {
        let seconds = u64::from(self.seconds);
        let reach = seconds.saturating_mul(self.jitter_percent.into()) / 100;
        let width = reach.saturating_mul(2).saturating_add(1);
        let least = seconds.saturating_sub(reach);
        Duration::from_secs(least.saturating_add(chance % width).max(1))
    }

    /// `HH:MM:SS`, as devices are told.
    ///
    /// # Errors
    /// [`TooLong`] for a day or more.
    pub fn clock(duration: Duration) -> Result<String, TooLong> {
        let seconds = duration.as_secs();
        if seconds > u64::from(*RANGE.end()) {
            return Err(TooLong);
        }
        Ok(format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes) = (self.seconds / 3600, self.seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}", self.seconds % 60)?;
        if self.jitter_percent > 0 {
            write!(f, "~{}%", self.jitter_percent)?;
        }
        Ok(())
    }
}

/// Seconds of `HH:MM:SS` or of an ISO 8601 duration.
fn seconds(text: &str) -> Option<u32> {
    if text.starts_with(['P', 'p']) {
        let duration: SignedDuration = text.parse().ok()?;
        return u32::try_from(duration.as_secs()).ok();
    }
    let mut parts = text.split(':');
    let mut number = |limit: u32| {
        let part = parts.next()?;
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|value| digits && *value < limit)
    };
    let (hours, minutes, seconds) = (number(24)?, number(60)?, number(60)?);
    if parts.next().is_some() {
        return None;
    }
    Some(
        hours
            .saturating_mul(3600)
            .saturating_add(minutes.saturating_mul(60))
            .saturating_add(seconds),
    )
}

fn wrong(text: &str, reason: &str) -> Error {
    Error::Polling { text: text.trim().chars().take(80).collect(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Interval, PollingTime};
    use std::time::Duration;

    #[test]
    fn times_overrides_and_jitter_are_read() {
        let text = "00:02:00~10%, controllerid == 4711 -> 00:01:00, group == 'a,b' or x=in=(1,2) -> PT5M5S";
        let time = PollingTime::parse(text).unwrap();
        assert_eq!(time.default.to_string(), "00:02:00~10%");
        let overrides: Vec<_> = time.overrides.iter().map(|(_, time)| time.to_string()).collect();
        assert_eq!(overrides, ["00:01:00", "00:05:05"]);
        assert!(PollingTime::parse("PT5M").is_ok());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "5",
            "00:00:29",
            "24:00:00",
            "00:60:00",
            "00:05",
            "00:05:00~",
            "00:05:00~101%",
            "PT9D",
            "00:05:00,",
            "00:05:00, a==1",
            "00:05:00 -> 00:05:00",
            "00:05:00, a -> 00:05:00",
            "00:05:00, a==1 -> 00:05:00, ",
            "-PT5M",
            "00:05:0x",
        ] {
            assert!(PollingTime::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn jitter_stays_within_its_reach_and_spreads() {
        let interval = Interval::parse("00:01:40~10%").unwrap();
        let seen: std::collections::BTreeSet<_> =
            (0..1000).map(|chance| interval.spread(chance).as_secs()).collect();
        assert_eq!(seen.first(), Some(&90));
        assert_eq!(seen.last(), Some(&110));
        assert_eq!(seen.len(), 21);
        assert_eq!(Interval::clock(Duration::from_secs(3725)), Ok("01:02:05".to_owned()));
    }
}
