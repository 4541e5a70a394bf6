//! Where the TUF specification and the Uptane world's files differ.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::FormatError;

/// The wire form of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// As the TUF 1.0 specification has it: lower-case `_type`, hex signatures, `scheme`,
    /// `spec_version`, OLPC canonical JSON, key id = SHA-256 of the canonical key object.
    Tuf,
    /// As aktualizr reads it: capital `_type`, base64 signatures with `method`, jsoncpp's ASCII
    /// canonical JSON, key id = SHA-256 of the JSON string of the public value.
    Uptane,
}

impl Dialect {
    /// The lower-case name used in files of ours: `tuf` or `uptane`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tuf => "tuf",
            Self::Uptane => "uptane",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "tuf" => Ok(Self::Tuf),
            "uptane" => Ok(Self::Uptane),
            _ => Err(FormatError::field("dialect", "is neither `tuf` nor `uptane`")),
        }
    }
}

/// Reads a time in the only form that both worlds agree on: `YYYY-MM-DDTHH:MM:SSZ`.
///
/// # Errors
/// [`FormatError::Field`] naming `field` for any other form, a fraction or an offset included.
pub fn parse_time(field: &str, text: &str) -> Result<Timestamp, FormatError> {
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).take(32).collect();
    if shape != "0000-00-00T00:00:00Z" {
        return Err(FormatError::field(field, "is not a time of the form YYYY-MM-DDTHH:MM:SSZ"));
    }
    text.parse().map_err(|_| FormatError::field(field, "is not a valid date and time"))
}

/// Reads the `expires` of a file.
///
/// In the TUF dialect a fraction of a second is understood, and dropped: tough writes one where a
/// repository's owner adds days to the present moment, and so did go-tuf.
///
/// # Errors
/// As [`parse_time`].
pub(crate) fn parse_expiry(dialect: Dialect, text: &str) -> Result<Timestamp, FormatError> {
    const FIELD: &str = "expires";
    let is_fraction = |text: &str| {
        let digits = text.strip_suffix('Z').unwrap_or_default();
        (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.split_once('.') {
        Some((whole, rest)) if dialect == Dialect::Tuf && is_fraction(rest) => {
            parse_time(FIELD, &format!("{whole}Z"))
        }
        _ => parse_time(FIELD, text),
    }
}

/// Writes a time as `YYYY-MM-DDTHH:MM:SSZ`, dropping fractions of a second.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    whole.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Dialect, format_time, parse_expiry, parse_time};

    #[test]
    fn times_round_trip() {
        let text = "2030-02-28T23:59:59Z";
        assert_eq!(format_time(parse_time("expires", text).unwrap()), text);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "2030-01-01T00:00:00+00:00",
            "2030-01-01T00:00:00.5Z",
            "2030-01-01 00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-02-30T00:00:00Z",
            "",
            "2030-01-01",
            "20300-01-01T00:00:00Z",
        ] {
            assert!(parse_time("expires", text).is_err(), "{text}");
            assert!(parse_expiry(Dialect::Uptane, text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_tuf_files_may_expire_within_a_second() {
        let whole = parse_time("expires", "2030-01-01T00:00:00Z").unwrap();
        for text in
            ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00.999999999Z"]
        {
            assert_eq!(parse_expiry(Dialect::Tuf, text).unwrap(), whole, "{text}");
        }
        for text in [
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00.5",
            "2030-01-01T00:00:00.1234567890Z",
            "2030-01-01T00:00:00.5+01:00",
            "2030-01-01T00:00:00.-5Z",
            "2030-01-01T00:00:00Z.5Z",
            "2030-01-01T00:00:00.5.5Z",
        ] {
            assert!(parse_expiry(Dialect::Tuf, text).is_err(), "{text}");
        }
    }
}
