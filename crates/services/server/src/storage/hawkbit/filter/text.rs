//! What a query says of a text: all of it, how it begins, or a pattern.
//!
//! Case is not regarded, as `lower` and `LIKE` do it in both databases here: of ASCII's letters.

/// What a text is to be like, with small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Alike {
    /// This one. An index of `lower(column)` finds it.
    Is(String),
    /// One that begins so: from the first such text on, and before the second. An index finds these,
    /// too.
    Begins(String, String),
    /// A pattern of `LIKE`, for which every text is looked at.
    Pattern(String),
}

/// What a text of a query asks for: `*` is any characters, `\*` is itself.
pub(super) fn alike(value: &str) -> Alike {
    let literal = |text: &str| text.replace("\\*", "*").to_ascii_lowercase();
    if !has_wildcard(value) {
        return Alike::Is(literal(value));
    }
    let start = value.strip_suffix('*').filter(|start| !has_wildcard(start));
    let range = start.map(literal).and_then(|start| Some((start.clone(), after(&start)?)));
    range.map_or_else(|| Alike::Pattern(pattern(value)), |(start, end)| Alike::Begins(start, end))
}

fn has_wildcard(value: &str) -> bool {
    value.replace("\\*", "").contains('*')
}

/// The first text, by its bytes, that comes after all that begin with this one.
fn after(start: &str) -> Option<String> {
    let mut characters = start.chars();
    let last = characters.next_back()?;
    let next = (u32::from(last).saturating_add(1)..).take(0x801).find_map(char::from_u32)?;
    Some(format!("{}{next}", characters.as_str()))
}

/// A pattern of `LIKE`.
pub(super) fn pattern(value: &str) -> String {
    let mut pattern = String::new();
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'*') => {
                characters.next();
                pattern.push('*');
            }
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => {
                pattern.push('\\');
                pattern.push(character);
            }
            other => pattern.push(other),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::{Alike, alike};

    #[test]
    fn what_an_index_finds_is_told_from_patterns() {
        let is = |text: &str| Alike::Is(text.to_owned());
        let begins = |from: &str, to: &str| Alike::Begins(from.to_owned(), to.to_owned());
        let pattern = |text: &str| Alike::Pattern(text.to_owned());
        for (said, meant) in [
            ("Dev-1", is("dev-1")),
            ("", is("")),
            ("50%_", is("50%_")),
            ("a\\*b", is("a*b")),
            ("a\\*", is("a*")),
            ("É", is("É")),
            ("Dev-*", begins("dev-", "dev.")),
            ("a\\**", begins("a*", "a+")),
            ("a\u{d7ff}*", begins("a\u{d7ff}", "a\u{e000}")),
            ("a\u{10ffff}*", pattern("a\u{10ffff}%")),
            ("*", pattern("%")),
            ("*a", pattern("%a")),
            ("a*b*", pattern("a%b%")),
            ("50%*x", pattern("50\\%%x")),
        ] {
            assert_eq!(alike(said), meant, "{said}");
        }
    }
}
