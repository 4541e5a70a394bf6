//! The syntax of aktualizr's configuration: INI files that look like TOML.
//!
//! ```text
//! # comment              ; comment
//! [section]
//! key = "value"          quotes are taken off; a comment may follow them
//! key = value            to the end of the line
//! ```
//! No nesting, no escapes, no values of several lines. What upstream's parser refuses (a line that
//! is none of these) is refused here as well; a section or key that comes twice is not, the later
//! one wins.

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section it stands in; empty before the first.
    pub section: String,
    /// Its name.
    pub key: String,
    /// Its value, without quotes.
    pub value: String,
    /// Its line, from 1.
    pub line: usize,
}

/// A line that is nothing that may stand in such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// The assignments of a file in their order.
pub fn parse(text: &str) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    let mut section = String::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = index.saturating_add(1);
        let malformed = |problem| Malformed { line: number, problem };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or_else(|| malformed("`]` is missing"))?;
            name.trim().clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| malformed("`=` is missing"))?;
        let key = key.trim().trim_matches('"');
        if key.is_empty() {
            return Err(malformed("the name before `=` is missing"));
        }
        entries.push(Entry {
            section: section.clone(),
            key: key.to_owned(),
            value: unquoted(value.trim()),
            line: number,
        });
    }
    Ok(entries)
}

/// The value without its quotes, and without a comment that follows them.
fn unquoted(value: &str) -> String {
    let inside = ['"', '\''].into_iter().find_map(|quote| {
        let (inside, rest) = value.strip_prefix(quote)?.split_once(quote)?;
        let rest = rest.trim_start();
        (rest.is_empty() || rest.starts_with(['#', ';'])).then_some(inside)
    });
    inside.unwrap_or_else(|| value.trim_matches('"')).to_owned()
}

/// A value without the comment behind it, for values that cannot hold one: numbers and the like.
pub(super) fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    end.and_then(|end| value.get(..end)).unwrap_or(value).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str, &str, usize)]) {
        let entries = parse(text).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|it| (it.section.as_str(), it.key.as_str(), it.value.as_str(), it.line))
            .collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn files_of_the_wild_are_read() {
        check("", &[]);
        check("\u{feff}[a]\r\nb = \"c\"\r\n", &[("a", "b", "c", 2)]);
        check("# x\n; y\n[ a ] rest\n  b=c d \n\n", &[("a", "b", "c d", 4)]);
        check(
            "[a]\nb = \"\"\nc =\nd = \"x\" # why\n",
            &[("a", "b", "", 2), ("a", "c", "", 3), ("a", "d", "x", 4)],
        );
        check(
            "b = 1\n[a]\nb = 1 # not cut here\n",
            &[("", "b", "1", 1), ("a", "b", "1 # not cut here", 3)],
        );
        // As upstream: quotes at the ends go, others stay.
        check("[a]\nb = \"x\" y\"\nc = it's\n", &[("a", "b", "x\" y", 2), ("a", "c", "it's", 3)]);
        check("[a]\nu = \"https://h/p?a=b#c\"\n", &[("a", "u", "https://h/p?a=b#c", 2)]);
        check("[a]\nb = 1\n[c]\n[a]\nb = 2\n", &[("a", "b", "1", 2), ("a", "b", "2", 5)]);
    }

    #[test]
    fn lines_that_are_nothing_are_refused_with_their_number() {
        for (text, line) in [("[a\n", 1), ("\nword\n", 2), ("[a]\n = 1\n", 2)] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn comments_behind_numbers_are_cut() {
        assert_eq!(without_comment("10 # seconds"), "10");
        assert_eq!(without_comment("10\t; seconds"), "10");
        assert_eq!(without_comment("a#b"), "a#b");
    }
}
