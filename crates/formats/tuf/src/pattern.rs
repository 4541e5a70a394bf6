//! Shell-style path patterns of delegations: `*`, `?`, `[…]`.

/// Whether wildcards match `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// They stop at `/`, as the TUF specification has it.
    Special,
    /// They match it, as `fnmatch(pattern, path, 0)` does in aktualizr.
    Plain,
}

/// Whether `pattern` matches all of `path`.
///
/// Takes time proportional to the product of both lengths at most. A `[` without `]` stands for
/// itself.
#[must_use]
pub fn matches(pattern: &str, path: &str, separator: Separator) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to resume after the latest `*`: its pattern position, and how much text it took.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&character) = path.get(t) {
        let crosses = separator == Separator::Special && character == '/';
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = step(&pattern, p, character, crosses) {
            p = next;
            t += 1;
            continue;
        }
        let Some((star_p, star_t)) = star else { return false };
        let taken = path.get(star_t).copied();
        if separator == Separator::Special && taken == Some('/') {
            return false;
        }
        star = Some((star_p, star_t + 1));
        p = star_p + 1;
        t = star_t + 1;
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// The pattern position after the one element at `p`, when it matches `character`.
fn step(pattern: &[char], p: usize, character: char, crosses: bool) -> Option<usize> {
    match pattern.get(p)? {
        '?' => (!crosses).then_some(p + 1),
        '[' => match class_end(pattern, p) {
            Some(end) => {
                (!crosses && in_class(pattern.get(p + 1..end)?, character)).then_some(end + 1)
            }
            None => (character == '[').then_some(p + 1),
        },
        literal => (*literal == character).then_some(p + 1),
    }
}

/// The position of the `]` that closes the class opened at `p`.
fn class_end(pattern: &[char], p: usize) -> Option<usize> {
    let mut first = p + 1;
    if matches!(pattern.get(first), Some('!' | '^')) {
        first += 1;
    }
    // A `]` in first place is a member.
    let offset = pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    Some(first + 1 + offset)
}

fn in_class(class: &[char], character: char) -> bool {
    let (negated, class) = match class {
        ['!' | '^', rest @ ..] => (true, rest),
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
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(199), Separator::Special));
    }
}
