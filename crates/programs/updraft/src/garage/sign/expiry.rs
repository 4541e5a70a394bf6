//! Until when a role is valid, in the words of garage-sign.

use clap::Args;
use jiff::tz::Offset;
use jiff::{Span, Timestamp, ToSpan as _};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// When what is signed expires.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::garage) struct Expiry {
    /// When it expires, such as 2030-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "expire_after")]
    expires: Option<Timestamp>,
    /// How long it is valid: years, months and days, such as 1Y3M5D.
    #[arg(long, value_name = "PERIOD")]
    expire_after: Option<String>,
    /// Also with a time that has passed.
    #[arg(long)]
    force: bool,
}

impl Expiry {
    /// The time that was asked for, else the one before.
    pub(super) fn after(&self, previous: Timestamp, now: Timestamp) -> Result<Timestamp> {
        let expires = match (&self.expire_after, self.expires) {
            (Some(period), _) => add(now, period)?,
            (None, Some(expires)) => expires,
            (None, None) => previous,
        };
        if expires < now && !self.force {
            return Err(Failure::new(Kind::Invalid, format!("{expires} has passed"))
                .hint("give --expires or --expire-after, or --force"));
        }
        Timestamp::from_second(expires.as_second())
            .map_err(|error| Failure::of(Kind::Invalid, error))
    }
}

/// `1Y3M5D` later, by the calendar.
fn add(now: Timestamp, period: &str) -> Result<Timestamp> {
    let malformed = || {
        Failure::new(Kind::Invalid, format!("`{}` is no period", period.escape_default()))
            .hint("write years, months and days in this order, such as 1Y3M5D")
    };
    let (mut rest, mut span) = (period.trim_start_matches('P'), 0.seconds());
    for unit in ['Y', 'M', 'D'] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        let number: i64 =
            number.parse().ok().filter(|n| (0..=1000).contains(n)).ok_or_else(malformed)?;
        span = match unit {
            'Y' => span.years(number),
            'M' => span.months(number),
            _ => span.days(number),
        };
        rest = after;
    }
    if !rest.is_empty() || period.is_empty() {
        return Err(malformed());
    }
    later(now, span)
}

/// Later by the calendar.
pub(super) fn later(now: Timestamp, span: Span) -> Result<Timestamp> {
    let date = Offset::UTC.to_datetime(now).checked_add(span);
    date.and_then(|date| Offset::UTC.to_timestamp(date))
        .map_err(|error| Failure::of(Kind::Invalid, error))
}

#[cfg(test)]
mod tests {
    use super::{Expiry, add};
    use jiff::Timestamp;

    #[test]
    fn periods_are_years_months_and_days() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (period, expect) in [
            ("1Y3M5D", "2027-05-05T10:00:00Z"),
            ("1M", "2026-02-28T10:00:00Z"),
            ("P10D", "2026-02-10T10:00:00Z"),
        ] {
            assert_eq!(add(now, period).unwrap().to_string(), expect, "{period}");
        }
        for period in ["", "Y", "1D1Y", "1", "1Y2", "-1D", "99999Y"] {
            assert!(add(now, period).is_err(), "{period}");
        }
        let past = "2020-01-01T00:00:00Z".parse().unwrap();
        assert!(Expiry::default().after(past, now).is_err());
        let forced = Expiry { force: true, ..Expiry::default() };
        assert_eq!(forced.after(past, now).unwrap(), past);
    }
}
