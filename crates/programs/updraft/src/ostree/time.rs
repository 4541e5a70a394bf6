//! Times on the command line: read as people write them, printed as `ostree` prints them.

mod date;
mod words;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// Reads a time: `@SECONDS`, RFC 3339, RFC 2822, and whatever else GNU `date` reads, such as
/// `2 weeks ago`. Without a zone it is local time.
pub(crate) fn parse(text: &str, now: &ZonedDateTime) -> Result<Timestamp> {
    let trimmed = text.trim();
    let time = match trimmed.strip_prefix('@') {
        Some(seconds) => since_epoch(seconds),
        None => date::read(trimmed, now),
    };
    time.ok_or_else(|| {
        Failure::new(Kind::Invalid, format!("Could not parse '{text}'"))
            .hint("a time is @SECONDS, a date such as 2024-02-29 12:00:00 +0000, or `2 weeks ago`")
    })
}

/// Whole seconds since 1970, rounded down.
fn since_epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.trim().parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    Timestamp::from_second(seconds.checked_sub(below.into())?).ok()
}

/// Reads a time as a commit carries it: times before 1970 count down from the largest number.
pub(crate) fn parse_commit_time(text: &str, now: &ZonedDateTime) -> Result<u64> {
    Ok(parse(text, now)?.as_second().cast_unsigned())
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
            ("", 1_699_920_000),
            ("@5.5", 5),
            ("@-1.5", -2),
            ("23-11-15", 1_700_006_400),
            ("Wed Nov 15 00:00:00 UTC 2023", 1_700_006_400),
            ("2023-11-15T00:00:00.123+00:00", 1_700_006_400),
            ("2023-11-14 7pm EST", 1_700_006_400),
            ("14 November 2023 tomorrow", 1_700_006_400),
            ("15-Nov-2023 01:00 CET", 1_700_006_400),
            ("2023-11-15 (a Wednesday) 3 hours 180 minutes ago", 1_700_006_400),
            ("20231114 2200 2 hours", 1_700_006_400),
            ("wednesday", 1_700_006_400),
            ("next wednesday", 1_700_006_400),
            ("last tuesday", 1_699_920_000 - 7 * 86_400),
            ("2023-10-31 1 month -16 days", 1_700_006_400),
        ] {
            assert_eq!(parse(text, &now).unwrap().as_second(), seconds, "{text}");
        }
        for text in [
            "garbage",
            "@",
            "@5.",
            "2023-13-01",
            "2023-02-30",
            "2023-11-15 24:00",
            "2023-11-15 13pm",
            "2023-11-15 2023-11-15",
            "10:00 11:00",
            "5 parsecs ago",
            "99999999999 years ago",
            "(",
        ] {
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
