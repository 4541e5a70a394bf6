//! Numbers on the command line, as C's `strtol` reads them for the peer: blanks before, a sign, and
//! `0x` or `0` before digits of other bases than ten.

use std::error::Error;
use std::num::{IntErrorKind, ParseIntError};

/// Reads a number of the 32 bits that the peer's options have.
pub(super) fn int(text: &str) -> Result<i32, Box<dyn Error + Send + Sync>> {
    let out_of_range = || Box::from(format!("{text} is not in {}..={}", i32::MIN, i32::MAX));
    let overflows = |error: &ParseIntError| {
        matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow)
    };
    match parse(text) {
        Err(error) if overflows(&error) => Err(out_of_range()),
        number => i32::try_from(number?).map_err(|_| out_of_range()),
    }
}

/// As [`int`], for who counts further.
pub(super) fn long(text: &str) -> Result<i64, Box<dyn Error + Send + Sync>> {
    int(text).map(i64::from)
}

fn parse(text: &str) -> Result<i64, ParseIntError> {
    let trimmed = text.trim_start();
    let (sign, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (base, digits) = match rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if rest.starts_with('0') => (8, rest),
        None => (10, rest),
    };
    // One sign is enough.
    let digits = if digits.starts_with(['+', '-']) { "" } else { digits };
    i64::from_str_radix(&format!("{sign}{digits}"), base)
}

#[cfg(test)]
mod tests {
    use super::int;

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("-1", -1),
            (" 1", 1),
            ("+1", 1),
            ("0x10", 16),
            ("-0X1f", -31),
            ("010", 8),
            ("2147483647", i32::MAX),
        ] {
            assert_eq!(int(text).unwrap(), number, "{text}");
        }
        for text in
            ["", " ", "1 ", "x", "0x", "08", "--1", "+-1", "1x", "2147483648", "0xfffffffff"]
        {
            assert!(int(text).is_err(), "{text}");
        }
    }
}
