//! Several ranges of one file (RFC 9110, section 14), as clients of deltas ask for.

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// The most ranges of one request.
const MAX_RANGES: usize = 1024;

/// What of a file is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// These parts: first byte and count. At least one, each within the file.
    Parts(Vec<(u64, u64)>),
    /// Nothing that there is.
    Nothing,
}

/// What of a file of this length is wanted. `is_current` says whether the validator in `If-Range`
/// is that of the file.
pub(super) fn wanted(
    headers: &HeaderMap,
    length: u64,
    is_current: impl Fn(&str) -> bool,
) -> Wanted {
    let Some(value) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    if let Some(condition) = headers.get(IF_RANGE)
        && !condition.to_str().is_ok_and(is_current)
    {
        return Wanted::All;
    }
    let Some(ranges) = value.trim().strip_prefix("bytes=") else { return Wanted::All };
    let mut parts = Vec::new();
    for (index, range) in ranges.split(',').enumerate() {
        if index >= MAX_RANGES {
            return Wanted::Nothing;
        }
        match part(range.trim(), length) {
            Some((start, count)) => parts.push((start, count)),
            // As hawkBit does: one range that cannot be is refused with all.
            None => return Wanted::Nothing,
        }
    }
    // Overlapping ranges could ask for one file many times over.
    let asked = parts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    if parts.len() > 1 && asked > length.saturating_mul(2) {
        return Wanted::Nothing;
    }
    Wanted::Parts(parts)
}

fn part(range: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| digits)
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(number(suffix)?), length),
        (first, "") => (number(first)?, length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last.saturating_add(1).min(length)))?
        }
    };
    (start < end).then(|| (start, end.saturating_sub(start)))
}

#[cfg(test)]
mod tests {
    use super::{Wanted, wanted};
    use axum::http::HeaderMap;
    use axum::http::header::{IF_RANGE, RANGE};

    fn asked(value: &str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value.parse().expect("a header"));
        wanted(&headers, 1000, |_| false)
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(asked("bytes=0-9"), Wanted::Parts(vec![(0, 10)]));
        assert_eq!(asked("bytes=-100"), Wanted::Parts(vec![(900, 100)]));
        assert_eq!(asked("bytes=-5000"), Wanted::Parts(vec![(0, 1000)]));
        assert_eq!(asked("bytes=990-"), Wanted::Parts(vec![(990, 10)]));
        assert_eq!(asked("bytes=0-1, 5-6,-1"), Wanted::Parts(vec![(0, 2), (5, 2), (999, 1)]));
        assert_eq!(asked("lines=0-1"), Wanted::All);
        for value in [
            "bytes=1000-",
            "bytes=100-10",
            "bytes=-0",
            "bytes=",
            "bytes=a-b",
            "bytes=0-1,2000-",
            "bytes=+1-2",
            "bytes=0-,0-,0-",
        ] {
            assert_eq!(asked(value), Wanted::Nothing, "{value}");
        }
        let many = format!("bytes={}", vec!["0-0"; 2000].join(","));
        assert_eq!(asked(&many), Wanted::Nothing);
    }

    #[test]
    fn a_range_of_another_content_is_everything() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=1-2".parse().expect("a header"));
        headers.insert(IF_RANGE, "\"other\"".parse().expect("a header"));
        assert_eq!(wanted(&headers, 10, |tag| tag == "\"this\""), Wanted::All);
        headers.insert(IF_RANGE, "\"this\"".parse().expect("a header"));
        assert_eq!(wanted(&headers, 10, |tag| tag == "\"this\""), Wanted::Parts(vec![(1, 2)]));
    }
}
