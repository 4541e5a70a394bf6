//! Shell-style path patterns of delegations: `*`, `?`, `[…]`.

use crate::Dialect;

/// Whether wildcards match `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// They stop at `/`, as the TUF specification has it.
    Special,
    /// They match it, as `fnmatch(pattern, path, 0)` does in aktualizr.
    Plain,
}

impl Separator {
    /// How clients of `dialect` match.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Tuf => Self::Special,
            Dialect::Uptane => Self::Plain,
        }
    }
}

/// Whether `pattern` matches all of `path`.
///
/// Takes time proportional to the product of both lengths at most. A `[` without `]` stands for
/// itself. With [`Separator::Special`] this is what python-tuf does, segment by segment; with
/// [`Separator::Plain`] `^` negates a class as `!` does, and `\` takes away a meaning.
#[must_use]
pub fn matches(pattern: &str, path: &str, separator: Separator) -> bool {
    match separator {
        Separator::Plain => matches_segment(pattern, path, separator),
        Separator::Special => {
            pattern.split('/').count() == path.split('/').count()
                && pattern
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(pattern, path)| matches_segment(pattern, path, separator))
        }
    }
}

fn matches_segment(pattern: &str, path: &str, separator: Separator) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to resume after the latest `*`: its pattern position, and how much text it took.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&character) = path.get(t) {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = step(&pattern, p, character, separator) {
            p = next;
            t += 1;
            continue;
        }
        let Some((star_p, star_t)) = star else { return false };
        star = Some((star_p, star_t + 1));
        p = star_p + 1;
        t = star_t + 1;
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// The pattern position after the one element at `p`, when it matches `character`.
fn step(pattern: &[char], p: usize, character: char, separator: Separator) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match class_end(pattern, p, separator) {
            Some(end) => {
                in_class(pattern.get(p + 1..end)?, character, separator).then_some(end + 1)
            }
            None => (character == '[').then_some(p + 1),
        },
        '\\' if separator == Separator::Plain => {
            (*pattern.get(p + 1)? == character).then_some(p + 2)
        }
        literal => (*literal == character).then_some(p + 1),
    }
}

fn negates(character: char, separator: Separator) -> bool {
    character == '!' || (character == '^' && separator == Separator::Plain)
}

/// The position of the `]` that closes the class opened at `p`.
fn class_end(pattern: &[char], p: usize, separator: Separator) -> Option<usize> {
    let mut first = p + 1;
    if pattern.get(first).is_some_and(|c| negates(*c, separator)) {
        first += 1;
    }
    // A `]` in first place is a member.
    let offset = pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    Some(first + 1 + offset)
}

fn in_class(class: &[char], character: char, separator: Separator) -> bool {
    let (negated, class) = match class {
        [first, rest @ ..] if negates(*first, separator) => (true, rest),
        all => (false, all),
    };
    let mut rest = class;
    let mut found = false;
    while let [first, tail @ ..] = rest {
        if let ['-', last, tail @ ..] = tail {
            found |= (*first..=*last).contains(&character);
            rest = tail;
        } else {
            found |= *first == character;
            rest = tail;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::{Separator, matches};

    fn check(pattern: &str, path: &str, tuf: bool, uptane: bool) {
        assert_eq!(matches(pattern, path, Separator::Special), tuf, "{pattern} {path} tuf");
        assert_eq!(matches(pattern, path, Separator::Plain), uptane, "{pattern} {path} uptane");
    }

    #[test]
    fn wildcards() {
        check("a", "a", true, true);
        check("a", "b", false, false);
        check("*", "abc", true, true);
        check("*", "", true, true);
        check("", "a", false, false);
        check("*.bin", "fw.bin", true, true);
        check("*.bin", "dir/fw.bin", false, true);
        check("dir/*", "dir/fw.bin", true, true);
        check("dir/*", "dir/sub/fw.bin", false, true);
        check("*/*", "dir/fw.bin", true, true);
        check("?", "/", false, true);
        check("f?.bin", "fw.bin", true, true);
        check("a*b*c", "aXXbYYbc", true, true);
        check("a*b*c", "aXXbYYb", false, false);
    }

    #[test]
    fn classes() {
        check("[a-c]x", "bx", true, true);
        check("[a-c]x", "dx", false, false);
        check("[!a-c]x", "dx", true, true);
        check("[]]x", "]x", true, true);
        check("[ab", "[ab", true, true);
        check("[ab", "a", false, false);
        check("[!a]", "/", false, true);
        check("[^a]x", "bx", false, true);
        check("[^a]x", "^x", true, true);
        check("[a/b]", "[a/b]", true, false);
        check("\\*x", "*x", false, true);
        check("\\*x", "\\yx", true, false);
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(199), Separator::Special));
    }
}
