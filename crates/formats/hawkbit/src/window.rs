//! Maintenance windows: when a device may install what it has downloaded.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result};
use crate::schedule::Schedule;

/// A window that comes again after a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct MaintenanceWindow {
    schedule: Schedule,
    duration: SignedDuration,
    offset: Offset,
}

impl MaintenanceWindow {
    /// Reads a window: a schedule (Quartz's cron), a duration (`HH:MM:SS`, or ISO 8601), and a time
    /// zone (`+HH:MM`, `Z`).
    ///
    /// # Errors
    /// [`Error::Window`], which names the part.
    pub fn parse(schedule: &str, duration: &str, timezone: &str) -> Result<Self> {
        Ok(Self {
            schedule: Schedule::parse(schedule)?,
            duration: parse_duration(duration).ok_or_else(|| Error::Window {
                what: "duration",
                text: duration.chars().take(80).collect(),
                reason: "it must be like 00:30:00, and more than nothing".to_owned(),
            })?,
            offset: parse_offset(timezone).ok_or_else(|| Error::Window {
                what: "timezone",
                text: timezone.chars().take(80).collect(),
                reason: "it must be like +02:00".to_owned(),
            })?,
        })
    }

    /// Whether it is open now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.current(now).is_some_and(|(start, _)| start <= now)
    }

    /// The window that is open, or else the next one: when it opens and closes.
    pub fn current(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let earliest = now.checked_sub(self.duration).ok()?;
        let mut from = self.offset.to_datetime(earliest);
        loop {
            let start = self.schedule.next(from)?;
            let start_at = self.offset.to_timestamp(start).ok()?;
            let end = start_at.checked_add(self.duration).ok()?;
            if end > now {
                return Some((start_at, end));
            }
            from = start.checked_add(jiff::Span::new().seconds(1)).ok()?;
        }
    }
}

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    let duration = if text.starts_with(['P', 'p']) {
        text.parse().ok()?
    } else {
        let mut seconds = 0_i64;
        let mut count = 0;
        for part in text.split(':') {
            let value: u16 = part.parse().ok()?;
            seconds = seconds.checked_mul(60)?.checked_add(value.into())?;
            count += 1;
        }
        (count == 3).then(|| SignedDuration::from_secs(seconds))?
    };
    (duration > SignedDuration::ZERO && duration <= SignedDuration::from_hours(24 * 366))
        .then_some(duration)
}

fn parse_offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=18).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::MaintenanceWindow;
    use jiff::Timestamp;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_opens_and_closes() {
        let window = MaintenanceWindow::parse("0 0 2 * * ?", "01:00:00", "+02:00").unwrap();
        assert!(!window.is_open(at("2026-11-27T23:59:59Z")));
        assert!(window.is_open(at("2026-11-28T00:00:00Z")));
        assert!(window.is_open(at("2026-11-28T00:59:59Z")));
        assert!(!window.is_open(at("2026-11-28T01:00:00Z")));
        let next = window.current(at("2026-11-28T01:00:00Z")).unwrap();
        assert_eq!(next, (at("2026-11-29T00:00:00Z"), at("2026-11-29T01:00:00Z")));
    }

    #[test]
    fn a_window_that_is_over_does_not_come_again() {
        let window = MaintenanceWindow::parse("10 12 14 3 8 ? 2027", "00:10:00", "+00:00").unwrap();
        assert!(window.is_open(at("2027-08-03T14:12:10Z")));
        assert!(window.is_open(at("2027-08-03T14:22:09Z")));
        assert_eq!(window.current(at("2027-08-03T14:22:10Z")), None);
    }

    #[test]
    fn windows_over_each_other_stay_open() {
        let window = MaintenanceWindow::parse("0 0 * * * ?", "03:00:00", "Z").unwrap();
        assert!(window.is_open(at("2026-11-28T12:34:56Z")));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let wrong = |schedule, duration, zone| {
            assert!(MaintenanceWindow::parse(schedule, duration, zone).is_err());
        };
        wrong("x", "00:10:00", "+00:00");
        wrong("0 0 2 * * ?", "00:00:00", "+00:00");
        wrong("0 0 2 * * ?", "10", "+00:00");
        wrong("0 0 2 * * ?", "00:10:00", "Europe");
        wrong("0 0 2 * * ?", "00:10:00", "+25:00");
    }
}
