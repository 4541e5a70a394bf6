//! Quartz's cron expressions: seconds, minutes, hours, day of month, month, day of week, and
//! optionally the year.
//!
//! `?` and `*` are any value, `a-b` a range, `a/b` and `a-b/c` steps, `,` a list; months and days of
//! the week may have names, and 1 is Sunday. `L`, `W` and `#` are not taken. Source: Quartz
//! Scheduler, "Cron Trigger Tutorial".

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};

use crate::error::{Error, Result};

/// The years that a schedule may be about.
const YEARS: (u16, u16) = (1970, 2099);
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Moments that come again, in local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seconds: BTreeSet<u16>,
    minutes: BTreeSet<u16>,
    hours: BTreeSet<u16>,
    days_of_month: BTreeSet<u16>,
    months: BTreeSet<u16>,
    days_of_week: BTreeSet<u16>,
    years: BTreeSet<u16>,
}

impl Schedule {
    /// Reads an expression of six or seven fields.
    ///
    /// # Errors
    /// [`Error::Window`], which names the field.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Window {
            what: "schedule",
            text: text.chars().take(80).collect(),
            reason,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[seconds, minutes, hours, day, month, weekday, ref rest @ ..] = fields.as_slice()
        else {
            return Err(wrong("it must have six or seven fields".to_owned()));
        };
        let year = match *rest {
            [] => "*",
            [year] => year,
            _ => return Err(wrong("it must have six or seven fields".to_owned())),
        };
        let read = |name: &str, text: &str, range, names| {
            field(text, range, names)
                .ok_or_else(|| wrong(format!("its {name} cannot be \"{text}\"")))
        };
        Ok(Self {
            seconds: read("second", seconds, (0, 59), &[])?,
            minutes: read("minute", minutes, (0, 59), &[])?,
            hours: read("hour", hours, (0, 23), &[])?,
            days_of_month: read("day of month", day, (1, 31), &[])?,
            months: read("month", month, (1, 12), &MONTHS)?,
            days_of_week: read("day of week", weekday, (1, 7), &DAYS)?,
            years: read("year", year, YEARS, &[])?,
        })
    }

    /// The first moment at or after `from`.
    pub fn next(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut time = from.time();
        if time.subsec_nanosecond() > 0 {
            let next = from.checked_add(jiff::Span::new().seconds(1)).ok()?;
            date = next.date();
            time = next.time().with().subsec_nanosecond(0).build().ok()?;
        }
        let last_year = i16::try_from(*self.years.last()?).ok()?;
        while date.year() <= last_year {
            if !self.has_month(date) {
                date = first_of_next_month(date)?;
                time = Time::midnight();
                continue;
            }
            if self.has_day(date)
                && let Some(time) = self.time_of_day(time)
            {
                return Some(date.to_datetime(time));
            }
            date = date.tomorrow().ok()?;
            time = Time::midnight();
        }
        None
    }

    fn has_month(&self, date: Date) -> bool {
        let year = u16::try_from(date.year()).unwrap_or(0);
        self.years.contains(&year) && self.months.contains(&small(date.month()))
    }

    fn has_day(&self, date: Date) -> bool {
        let weekday = small(date.weekday().to_sunday_one_offset());
        self.days_of_month.contains(&small(date.day())) && self.days_of_week.contains(&weekday)
    }

    /// The first moment of a day at or after `from`.
    fn time_of_day(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) =
            (small(from.hour()), small(from.minute()), small(from.second()));
        let part = |value: u16| i8::try_from(value).ok();
        for &later_hour in self.hours.range(hour..) {
            let same_hour = later_hour == hour;
            let least_minute = if same_hour { minute } else { 0 };
            for &later_minute in self.minutes.range(least_minute..) {
                let same_minute = same_hour && later_minute == minute;
                let least_second = if same_minute { second } else { 0 };
                if let Some(&later_second) = self.seconds.range(least_second..).next() {
                    let (hour, minute) = (part(later_hour)?, part(later_minute)?);
                    return Time::new(hour, minute, part(later_second)?, 0).ok();
                }
            }
        }
        None
    }
}

fn small(value: i8) -> u16 {
    u16::try_from(value).unwrap_or(0)
}

fn first_of_next_month(date: Date) -> Option<Date> {
    date.last_of_month().tomorrow().ok()
}

/// The values of one field.
fn field(text: &str, (least, most): (u16, u16), names: &[&str]) -> Option<BTreeSet<u16>> {
    let value = |text: &str| -> Option<u16> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(index) => u16::try_from(index).ok()?.checked_add(least)?,
            None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (least..=most).contains(&number).then_some(number)
    };
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, Some(step.parse::<u16>().ok().filter(|step| *step > 0)?))
            }
            None => (part, None),
        };
        let (first, last) = if matches!(range, "*" | "?") {
            (least, most)
        } else if let Some((first, last)) = range.split_once('-') {
            (value(first)?, value(last)?)
        } else {
            let first = value(range)?;
            (first, if step.is_some() { most } else { first })
        };
        let step = usize::from(step.unwrap_or(1));
        if first <= last {
            values.extend((first..=last).step_by(step));
        } else {
            // Such as FRI-MON: over the end.
            values.extend((first..=most).chain(least..=last).step_by(step));
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use jiff::civil::DateTime;

    fn next(schedule: &str, from: &str) -> Option<String> {
        let from: DateTime = from.parse().unwrap();
        Schedule::parse(schedule).unwrap().next(from).map(|moment| moment.to_string())
    }

    #[test]
    fn the_next_moment_is_found() {
        let check = |schedule: &str, from: &str, expect: &str| {
            assert_eq!(next(schedule, from).as_deref(), Some(expect), "{schedule} from {from}");
        };
        // Both forms of one day.
        check("10 12 14 3 8 ? 2027", "2026-11-28T00:00:00", "2027-08-03T14:12:10");
        check("10 12 14 ? 8 * 2027", "2027-08-03T14:12:11", "2027-08-04T14:12:10");
        check("0 0 2 * * ?", "2026-11-28T02:00:00", "2026-11-28T02:00:00");
        check("0 0 2 * * ?", "2026-11-28T02:00:00.5", "2026-11-29T02:00:00");
        check("0 0/15 8-10 ? * MON-FRI", "2026-11-28T09:01:00", "2026-11-30T08:00:00");
        check("0 0 0 29 2 ?", "2026-11-28T00:00:00", "2028-02-29T00:00:00");
        check("0 30 1 ? * 1", "2026-11-28T00:00:00", "2026-11-29T01:30:00");
        check("0 0 0 ? * FRI-SUN", "2026-11-30T00:00:00", "2026-12-04T00:00:00");
        check("5,35 59 23 31 DEC ? *", "2026-12-31T23:59:06", "2026-12-31T23:59:35");
    }

    #[test]
    fn what_never_comes_ends() {
        assert_eq!(next("0 0 0 1 1 ? 2020", "2026-11-28T00:00:00"), None);
        assert_eq!(next("0 0 0 30 2 ?", "2026-11-28T00:00:00"), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * * *",
            "* * * * * * * *",
            "60 * * * * ?",
            "0 0 0 L * ?",
            "0 0 0 15W * ?",
            "0 0 0 ? * 6#3",
            "0 0 0 ? * XYZ",
            "0 0/0 0 ? * *",
            "-1 0 0 ? * *",
            "0 0 0 0 * ?",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text:?}");
        }
    }
}
