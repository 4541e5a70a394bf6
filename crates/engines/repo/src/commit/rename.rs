//! Changing the names in a tar stream.

use regex::Regex;
use updraft_error::Kind;

use crate::{Error, Result};

/// The largest compiled pattern, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// What happens to each name in a tar stream: what matches a pattern is replaced.
#[derive(Debug, Clone)]
pub struct PathnameFilter {
    pattern: Regex,
    replacement: String,
}

impl PathnameFilter {
    /// A filter that replaces every match of `pattern`; `\\1` in `replacement` stands for what the
    /// first group matched.
    ///
    /// # Errors
    /// Of kind [`Kind::Invalid`] when the pattern is malformed.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self> {
        let built = regex::RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
        let pattern = built.map_err(|error| {
            Error::other(Kind::Invalid, format!("read the pattern `{pattern}`: {error}"))
        })?;
        Ok(Self { pattern, replacement: references(replacement) })
    }

    /// The new name of `path`, which has no `/` at its ends.
    pub(super) fn apply(&self, path: &str) -> String {
        self.pattern.replace_all(path, self.replacement.as_str()).into_owned()
    }
}

/// `\\1` as the library writes it, and what it would take for a reference as it is.
fn references(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '$' => written.push_str("$$"),
            '\\' => match rest.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    written.push_str("${");
                    written.push(digit);
                    written.push('}');
                }
                Some(other) => written.push(other),
                None => {}
            },
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::PathnameFilter;

    #[test]
    fn matches_are_replaced() {
        let renamed = |pattern, replacement, path| {
            PathnameFilter::new(pattern, replacement).unwrap().apply(path)
        };
        assert_eq!(renamed("^etc", "usr/etc", "etc/passwd"), "usr/etc/passwd");
        assert_eq!(renamed("^(a)/(b)", r"\2/\1$1", "a/b/c"), "b/a$1/c");
        assert!(PathnameFilter::new("(", "").is_err());
    }
}
