//! Dates as GNU `date` reads them, which is what the peer does: items in whatever order.
//!
//! An item is a date, a time of the day, a day of the week, a zone, or a distance from what the
//! others say. What is not said is now's; a date without a time is its midnight.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ZonedDateTime};

use super::words::{Unit, Word, split};

/// Reads a date; `None` when it is none.
pub(super) fn read(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let mut rest = &split(text)?[..];
    let mut items = Items::default();
    while !rest.is_empty() {
        rest = items.take(rest)?;
    }
    items.resolve(now)
}

/// A year, and how many digits it was written with.
type Year = (i64, usize);

/// What was said.
#[derive(Debug, Default)]
struct Items {
    /// Year, month, day.
    date: Option<(Option<Year>, i8, i8)>,
    /// Hour, minute, second.
    time: Option<(i8, i8, i8)>,
    /// Which of those that come, and the day from Sunday.
    weekday: Option<(i64, i64)>,
    /// Minutes east of Greenwich.
    zone: Option<i64>,
    is_relative: bool,
    months: i64,
    days: i64,
    seconds: i64,
}

impl Items {
    /// Takes the item that the words begin with, and gives the rest.
    fn take<'a>(&mut self, words: &'a [Word]) -> Option<&'a [Word]> {
        use Word::{Day, Decimal, Mark, Meridian, Month, Number, Ordinal, Shift, Signed, T, Zone};
        match words {
            [T, rest @ ..] if self.date.is_some() && self.time.is_none() => Some(rest),
            [Number(hour, _), Mark(':'), Number(minute, _), Mark(':'), second, rest @ ..] => {
                let (Number(second, _) | Decimal(second)) = second else { return None };
                self.time((*hour, *minute, *second), rest)
            }
            [Number(hour, _), Mark(':'), Number(minute, _), rest @ ..] => {
                self.time((*hour, *minute, 0), rest)
            }
            [Number(hour, _), Meridian(_), ..] => self.time((*hour, 0, 0), words.get(1..)?),
            [
                Number(year, n @ 4..),
                Mark('/'),
                Number(month, _),
                Mark('/'),
                Number(day, _),
                rest @ ..,
            ]
            | [
                Number(month, _),
                Mark('/'),
                Number(day, _),
                Mark('/'),
                Number(year, n),
                rest @ ..,
            ] => self.date(Some((*year, *n)), *month, *day, rest),
            [Number(month, _), Mark('/'), Number(day, _), rest @ ..] => {
                self.date(None, *month, *day, rest)
            }
            [Number(year, n), Signed(month, _), Signed(day, _), rest @ ..] => {
                self.date(Some((*year, *n)), month.checked_neg()?, day.checked_neg()?, rest)
            }
            [Number(day, _), Month(month), Signed(year, n), rest @ ..] => {
                self.date(Some((year.checked_neg()?, *n)), (*month).into(), *day, rest)
            }
            [Month(month), Signed(day, _), Signed(year, n), rest @ ..] => {
                let year = (year.checked_neg()?, *n);
                self.date(Some(year), (*month).into(), day.checked_neg()?, rest)
            }
            [Month(month), Number(day, _), Mark(','), Number(year, n), rest @ ..]
            | [Number(day, _), Month(month), Number(year, n), rest @ ..] => {
                self.date(Some((*year, *n)), (*month).into(), *day, rest)
            }
            [Month(month), Number(day, _), rest @ ..]
            | [Number(day, _), Month(month), rest @ ..] => {
                self.date(None, (*month).into(), *day, rest)
            }
            [Day(day), Mark(','), rest @ ..] | [Day(day), rest @ ..] => self.day(0, *day, rest),
            [Ordinal(count) | Number(count, _), Day(day), rest @ ..] => {
                self.day(*count, *day, rest)
            }
            [Ordinal(n) | Number(n, _) | Signed(n, _), Word::Unit(unit), rest @ ..] => {
                self.shift(*n, *unit, rest)
            }
            [Word::Unit(unit), rest @ ..] => self.shift(1, *unit, rest),
            [Shift(days), rest @ ..] => self.shift(*days, Unit::Days(1), rest),
            [Zone(minutes), rest @ ..] => self.zone(*minutes, rest),
            [Number(value, digits), rest @ ..] => self.number(*value, *digits, rest),
            _ => None,
        }
    }

    fn time<'a>(
        &mut self,
        (hour, minute, second): (i64, i64, i64),
        rest: &'a [Word],
    ) -> Option<&'a [Word]> {
        let (hour, rest) = match rest {
            [Word::Meridian(is_late), rest @ ..] if (1..=12).contains(&hour) => {
                (hour % 12 + if *is_late { 12 } else { 0 }, rest)
            }
            [Word::Meridian(_), ..] => return None,
            _ => (hour, rest),
        };
        let part = |value: i64| i8::try_from(value).ok();
        let time = (part(hour)?, part(minute)?, part(second)?);
        if self.time.replace(time).is_some() {
            return None;
        }
        match rest {
            [Word::Signed(hours, digits), rest @ ..] => {
                let (minutes, rest) = offset(*hours, *digits, rest)?;
                self.zone_once(minutes, rest)
            }
            _ => Some(rest),
        }
    }

    fn date<'a>(
        &mut self,
        year: Option<Year>,
        month: i64,
        day: i64,
        rest: &'a [Word],
    ) -> Option<&'a [Word]> {
        let date = (year, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        self.date.replace(date).is_none().then_some(rest)
    }

    fn day<'a>(&mut self, count: i64, day: i64, rest: &'a [Word]) -> Option<&'a [Word]> {
        self.weekday.replace((count, day)).is_none().then_some(rest)
    }

    fn shift<'a>(&mut self, count: i64, unit: Unit, rest: &'a [Word]) -> Option<&'a [Word]> {
        let (count, rest) = match rest {
            [Word::Ago, rest @ ..] => (count.checked_neg()?, rest),
            _ => (count, rest),
        };
        let (sum, size) = match unit {
            Unit::Months(size) => (&mut self.months, size),
            Unit::Days(size) => (&mut self.days, size),
            Unit::Seconds(size) => (&mut self.seconds, size),
        };
        *sum = sum.checked_add(count.checked_mul(size)?)?;
        self.is_relative = true;
        Some(rest)
    }

    fn zone<'a>(&mut self, minutes: i64, rest: &'a [Word]) -> Option<&'a [Word]> {
        match rest {
            [Word::SummerTime, rest @ ..] => self.zone_once(minutes.checked_add(60)?, rest),
            [Word::Signed(_, _), Word::Unit(_), ..] => self.zone_once(minutes, rest),
            [Word::Signed(hours, digits), rest @ ..] => {
                let (more, rest) = offset(*hours, *digits, rest)?;
                self.zone_once(minutes.checked_add(more)?, rest)
            }
            _ => self.zone_once(minutes, rest),
        }
    }

    fn zone_once<'a>(&mut self, minutes: i64, rest: &'a [Word]) -> Option<&'a [Word]> {
        self.zone.replace(minutes).is_none().then_some(rest)
    }

    /// A number alone: a year after a date without one, a date of eight digits, else a time.
    fn number<'a>(&mut self, value: i64, digits: usize, rest: &'a [Word]) -> Option<&'a [Word]> {
        if let Some((year @ None, _, _)) = &mut self.date
            && !self.is_relative
            && (self.time.is_some() || digits > 2)
        {
            *year = Some((value, digits));
            return Some(rest);
        }
        if digits > 4 {
            let year = (value / 10_000, digits.checked_sub(4)?);
            return self.date(Some(year), value / 100 % 100, value % 100, rest);
        }
        let time = if digits <= 2 { (value, 0, 0) } else { (value / 100, value % 100, 0) };
        self.time(time, rest)
    }

    fn resolve(self, now: &ZonedDateTime) -> Option<Timestamp> {
        let now_date = now.date();
        let mut date = match self.date {
            None => now_date,
            Some((year, month, day)) => {
                Date::new(full_year(year, now_date.year())?, month, day).ok()?
            }
        };
        let keeps_time = self.is_relative && self.date.is_none() && self.weekday.is_none();
        let time = match self.time {
            Some((hour, minute, second)) => Time::new(hour, minute, second, 0).ok()?,
            None if keeps_time => now.time(),
            None => Time::midnight(),
        };
        if let Some((count, day)) = self.weekday.filter(|_| self.date.is_none()) {
            let today = i64::from(date.weekday().to_sunday_zero_offset());
            let weeks = if count > 0 && today != day { count.checked_sub(1)? } else { count };
            let ahead = (day - today).rem_euclid(7);
            date = plus_days(date, weeks.checked_mul(7)?.checked_add(ahead)?)?;
        }
        if self.months != 0 {
            // The day of a shorter month runs over into the next one.
            let months = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
            let months = months.checked_add(self.months)?;
            let year = i16::try_from(months.div_euclid(12)).ok()?;
            let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
            date = plus_days(Date::new(year, month, 1).ok()?, i64::from(date.day()) - 1)?;
        }
        date = plus_days(date, self.days)?;
        let zone = match self.zone {
            None => now.time_zone().clone(),
            Some(minutes) => {
                let seconds = i32::try_from(minutes.checked_mul(60)?).ok()?;
                TimeZone::fixed(Offset::from_seconds(seconds).ok()?)
            }
        };
        let moment = DateTime::from_parts(date, time).to_zoned_datetime(zone).ok()?.timestamp();
        moment.checked_add(Span::new().try_seconds(self.seconds).ok()?).ok()
    }
}

/// The minutes of `+02`, `+0230` or `+02:30`, and the words after it.
fn offset(hours: i64, digits: usize, rest: &[Word]) -> Option<(i64, &[Word])> {
    if let [Word::Mark(':'), Word::Number(minutes, _), rest @ ..] = rest {
        let minutes = if hours < 0 { -minutes } else { *minutes };
        return Some((hours.checked_mul(60)?.checked_add(minutes)?, rest));
    }
    let minutes = if digits <= 2 { hours.checked_mul(60)? } else { hours / 100 * 60 + hours % 100 };
    Some((minutes, rest))
}

/// A year of two digits is one from 1969 to 2068; none is that of now.
fn full_year(year: Option<Year>, now: i16) -> Option<i16> {
    match year {
        None => Some(now),
        Some((year, 2)) if year < 69 => i16::try_from(year.checked_add(2000)?).ok(),
        Some((year, 2)) => i16::try_from(year.checked_add(1900)?).ok(),
        Some((year, _)) => i16::try_from(year).ok(),
    }
}

fn plus_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}
