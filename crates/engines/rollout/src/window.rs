//! Maintenance windows: when devices may be told, in their own time.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result};

/// The most windows of one rollout.
pub const MAX_WINDOWS: usize = 50;
/// The longest window: a week.
pub const MAX_LENGTH: Duration = Duration::from_hours(7 * 24);

/// When devices may be told: while one of these is open; without any, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// The time zone of devices that do not report theirs.
    pub time_zone: TimeZone,
    /// The windows.
    pub windows: Vec<Window>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { time_zone: TimeZone::UTC, windows: Vec::new() }
    }
}

impl Windows {
    /// Whether a device in this time zone may be told now.
    pub fn are_open(&self, now: Timestamp, zone: Option<&TimeZone>) -> bool {
        let zone = zone.unwrap_or(&self.time_zone);
        self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(now, zone))
    }
}

/// A stretch of time that comes again each week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// On which days it opens, Monday first.
    days: [bool; 7],
    start: Time,
    length: Duration,
}

impl Window {
    /// Opens on `days` (on all of them, when there are none) at `start`, for `length`.
    ///
    /// # Errors
    /// [`Error::WindowLength`] for more than [`MAX_LENGTH`] or less than a minute.
    pub fn new(days: &[Weekday], start: Time, length: Duration) -> Result<Self> {
        if length < Duration::from_mins(1) || length > MAX_LENGTH {
            return Err(Error::WindowLength { seconds: length.as_secs() });
        }
        let mut chosen = [days.is_empty(); 7];
        for day in days {
            if let Some(one) = chosen.get_mut(index(*day)) {
                *one = true;
            }
        }
        Ok(Self { days: chosen, start, length })
    }

    /// Whether it is open now, in this time zone. Where a clock is put forward over its start, it
    /// opens as much later; where it is put back, it opens the first time.
    pub fn is_open(&self, now: Timestamp, zone: &TimeZone) -> bool {
        let length = SignedDuration::try_from(self.length).unwrap_or(SignedDuration::MAX);
        let mut day = Some(zone.to_datetime(now).date());
        // It may have opened so many days ago, and one more for the hours of the day.
        let days = self.length.as_secs() / 86_400 + 1;
        for _ in 0..=days {
            let Some(date) = day else { return false };
            if self.opens_on(date)
                && let Ok(opened) = zone.to_timestamp(date.to_datetime(self.start))
                && opened <= now
                && now.duration_since(opened) < length
            {
                return true;
            }
            day = date.yesterday().ok();
        }
        false
    }

    fn opens_on(&self, date: Date) -> bool {
        self.days.get(index(date.weekday())).copied().unwrap_or(false)
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

/// Reads a time zone: a name of the IANA database (`Europe/Berlin`), or an offset (`+02:00`, `Z`).
///
/// # Errors
/// [`Error::TimeZone`].
pub fn parse_time_zone(text: &str) -> Result<TimeZone> {
    let text = text.trim();
    let wrong = || Error::TimeZone { text: text.chars().take(80).collect() };
    if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    let offset = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => Some((1, rest)),
        (_, Some(rest)) => Some((-1, rest)),
        _ => None,
    };
    let Some((sign, rest)) = offset else {
        return TimeZoneDatabase::bundled().get(text).map_err(|_| wrong());
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
    let read = |text: &str, most: i32| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|value| is_number && *value <= most).ok_or_else(wrong)
    };
    let seconds = read(hours, 18)? * 3600 + read(minutes, 59)? * 60;
    let offset = jiff::tz::Offset::from_seconds(sign * seconds).map_err(|_| wrong())?;
    Ok(TimeZone::fixed(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(days: &[Weekday], hours: u64) -> Window {
        let start = Time::new(22, 0, 0, 0).expect("a time");
        Window::new(days, start, Duration::from_hours(hours)).expect("valid")
    }

    #[test]
    fn windows_are_in_local_time_and_may_pass_midnight() {
        let window = night(&[Weekday::Friday], 4);
        let berlin = parse_time_zone("Europe/Berlin").expect("known");
        let check = |now: &str, zone: &TimeZone, expect: bool| {
            let now: Timestamp = now.parse().expect("a time");
            assert_eq!(window.is_open(now, zone), expect, "{now} {zone:?}");
        };
        // 2026-07-03 is a Friday; Berlin is two hours ahead in summer.
        check("2026-07-03T19:59:59Z", &berlin, false);
        check("2026-07-03T20:00:00Z", &berlin, true);
        check("2026-07-03T20:00:00Z", &TimeZone::UTC, false);
        check("2026-07-03T23:59:59Z", &berlin, true);
        check("2026-07-04T00:00:00Z", &berlin, false);
        check("2026-07-04T01:59:59Z", &TimeZone::UTC, true);
        check("2026-07-04T20:00:00Z", &berlin, false);
    }

    #[test]
    fn a_clock_that_is_put_forward_or_back_neither_loses_nor_doubles_a_window() {
        let berlin = parse_time_zone("Europe/Berlin").expect("known");
        let start = Time::new(2, 30, 0, 0).expect("a time");
        let window = Window::new(&[], start, Duration::from_hours(1)).expect("valid");
        let check = |now: &str, expect: bool| {
            let now: Timestamp = now.parse().expect("a time");
            assert_eq!(window.is_open(now, &berlin), expect, "{now}");
        };
        // On 2026-03-29 there is no 02:30: it opens at 03:30, which is 01:30 UTC.
        check("2026-03-29T01:29:59Z", false);
        check("2026-03-29T01:30:00Z", true);
        check("2026-03-29T02:30:00Z", false);
        // On 2026-10-25 there are two: it opens at the first, 00:30 UTC.
        check("2026-10-25T00:30:00Z", true);
        check("2026-10-25T01:29:59Z", true);
        check("2026-10-25T01:30:00Z", false);
    }

    #[test]
    fn a_week_is_always_open_and_longer_is_refused() {
        let week = night(&[Weekday::Monday], 7 * 24);
        for hour in 0..200 {
            let now = Timestamp::from_second(1_800_000_000 + hour * 3600).expect("in range");
            assert!(week.is_open(now, &TimeZone::UTC), "{now}");
        }
        let start = Time::midnight();
        assert!(Window::new(&[], start, MAX_LENGTH + Duration::from_secs(1)).is_err());
        assert!(Window::new(&[], start, Duration::from_secs(59)).is_err());
    }

    #[test]
    fn time_zones_are_names_or_offsets() {
        for good in ["UTC", "Z", "+02:00", "-09:30", "America/New_York", "europe/berlin"] {
            assert!(parse_time_zone(good).is_ok(), "{good}");
        }
        for bad in ["", "+2", "+25:00", "+02:60", "+-1:00", "Mars/Base", "../etc/passwd"] {
            assert!(parse_time_zone(bad).is_err(), "{bad}");
        }
    }
}
