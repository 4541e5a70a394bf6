//! Times on the command line: read as people write them, printed as `ostree` prints them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// Reads a time: `@SECONDS`, RFC 3339, RFC 2822, `YYYY-MM-DD [HH:MM[:SS]] [ZONE]`, `now`, `today`,
/// `yesterday`, `N days ago`. Without a zone it is local time.
pub(crate) fn parse(text: &str, now: &ZonedDateTime) -> Result<Timestamp> {
    let trimmed = text.trim();
    let seconds = trimmed.strip_prefix('@').and_then(|seconds| seconds.parse().ok());
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .or_else(|| absolute(trimmed, now.time_zone()))
        .or_else(|| relative(trimmed, now))
        .ok_or_else(|| {
            Failure::new(Kind::Invalid, format!("Could not parse '{text}'")).hint(
                "a time is @SECONDS, a date such as 2024-02-29 12:00:00 +0000, or `2 weeks ago`",
            )
        })
}

/// Reads a time as a commit carries it: times before 1970 count down from the largest number.
pub(crate) fn parse_commit_time(text: &str, now: &ZonedDateTime) -> Result<u64> {
    Ok(parse(text, now)?.as_second().cast_unsigned())
}

fn absolute(text: &str, local: &TimeZone) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(time) = jiff::fmt::rfc2822::parse(text) {
        return Some(time.timestamp());
    }
    for format in ["%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M %z", "%Y-%m-%dT%H:%M:%S%z"] {
        if let Ok(time) = Timestamp::strptime(format, text) {
            return Some(time);
        }
    }
    let (text, zone) = match text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")) {
        Some(rest) => (rest, TimeZone::UTC),
        None => (text, local.clone()),
    };
    for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"] {
        if let Ok(time) = DateTime::strptime(format, text) {
            return Some(time.to_zoned_datetime(zone).ok()?.timestamp());
        }
    }
    let spelled = text.replace(',', " ");
    let spelled = spelled.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    for format in SPELLED {
        if let Ok(time) = DateTime::strptime(format!("{format} %H:%M:%S"), &spelled) {
            return Some(time.to_zoned_datetime(zone).ok()?.timestamp());
        }
        if let Ok(time) = DateTime::strptime(format!("{format} %H:%M"), &spelled) {
            return Some(time.to_zoned_datetime(zone).ok()?.timestamp());
        }
    }
    let date = SPELLED.iter().find_map(|format| Date::strptime(format, &spelled).ok())?;
    Some(date.to_zoned_datetime(zone).ok()?.timestamp())
}

/// How dates are written, commas aside.
const SPELLED: [&str; 8] =
    ["%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y"];

fn relative(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    match text {
        "now" | "today" => return Some(now.timestamp()),
        "yesterday" => return now.checked_sub(Span::new().days(1)).ok().map(|t| t.timestamp()),
        "tomorrow" => return now.checked_add(Span::new().days(1)).ok().map(|t| t.timestamp()),
        _ => {}
    }
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let ago = words.last() == Some(&"ago");
    if ago {
        words.pop();
    }
    let [count, unit] = words[..] else { return None };
    let count: i64 = if count == "a" || count == "last" { 1 } else { count.parse().ok()? };
    let span = Span::new();
    let span = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" | "sec" => span.try_seconds(count),
        "minute" | "min" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    }
    .ok()?;
    let time = if ago { now.checked_sub(span) } else { now.checked_add(span) };
    time.ok().map(|time| time.timestamp())
}

/// `2023-11-14 22:13:20 +0000`, as `log` prints a commit's time.
pub(crate) fn format_utc(seconds: u64) -> String {
    match Timestamp::from_second(seconds.cast_signed()) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S +0000").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

/// `2023-11-14T22:13:20+00`, as `summary --view` prints times: local, with the zone's hours.
pub(crate) fn format_local(seconds: u64, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(seconds.cast_signed());
    let Ok(time) = time else { return format!("@{seconds}") };
    let local = time.to_zoned_datetime(zone.clone());
    let offset = local.offset().seconds();
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    let hours = format!("{}{sign}{:02}", local.strftime("%Y-%m-%dT%H:%M:%S"), offset / 3600);
    match offset / 60 % 60 {
        0 => hours,
        minutes => format!("{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Timestamp::from_second(1_700_000_000).unwrap().to_zoned_datetime(TimeZone::UTC);
        for (text, seconds) in [
            ("@5", 5),
            ("@0", 0),
            ("2023-11-15 00:00:00 +0000", 1_700_006_400),
            ("2023-11-15 01:00:00 +0100", 1_700_006_400),
            ("2023-11-15T00:00:00Z", 1_700_006_400),
            ("Wed, 15 Nov 2023 00:00:00 +0000", 1_700_006_400),
            ("2023-11-15", 1_700_006_400),
            ("15 Nov 2023", 1_700_006_400),
            ("November 15, 2023", 1_700_006_400),
            ("11/15/2023 00:00", 1_700_006_400),
            ("20231115", 1_700_006_400),
            ("2023-11-15 00:00", 1_700_006_400),
            ("2023-11-15 00:00:00 UTC", 1_700_006_400),
            ("now", 1_700_000_000),
            ("yesterday", 1_700_000_000 - 86_400),
            ("2 weeks ago", 1_700_000_000 - 14 * 86_400),
            ("1 hour", 1_700_003_600),
        ] {
            assert_eq!(parse(text, &now).unwrap().as_second(), seconds, "{text}");
        }
        for text in ["", "garbage", "@", "2023-13-01", "5 parsecs ago", "99999999999 years ago"] {
            assert!(parse(text, &now).is_err(), "{text}");
        }
        let before = parse_commit_time("1969-12-31 23:59:59 +0000", &now).unwrap();
        assert_eq!(before, u64::MAX);
    }

    #[test]
    fn times_print_as_ostree_prints_them() {
        assert_eq!(format_utc(1_700_000_000), "2023-11-14 22:13:20 +0000");
        assert_eq!(format_utc(u64::MAX), "1969-12-31 23:59:59 +0000");
        assert_eq!(format_utc(1 << 63), "@9223372036854775808");
        assert_eq!(format_local(1_700_000_000, &TimeZone::UTC), "2023-11-14T22:13:20+00");
        let india = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).unwrap());
        assert_eq!(format_local(1_700_000_000, &india), "2023-11-15T03:43:20+05:30");
    }
}
