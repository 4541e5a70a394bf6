//! What a connection string says about TLS in the words of PostgreSQL's own library.
//!
//! Whoever has a string for `psql` has `sslmode=verify-full` and `sslrootcert=/path` in it. Here a
//! certificate is always checked in full, so the words that ask for less than that mean the same; the
//! driver knows neither word. Source:
//! <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>.

/// The words of `sslmode` that ask for a certificate that is checked.
const CHECKED: [&str; 2] = ["verify-ca", "verify-full"];

/// A connection string without what the driver does not know, and the file of certificates that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsWords {
    /// The string for the driver.
    pub rest: String,
    /// The value of `sslrootcert`.
    pub root: Option<String>,
}

impl TlsWords {
    /// Takes a string apart, in either of its forms. One that cannot be read is left to the driver, which
    /// says why.
    pub fn of(text: &str) -> Self {
        let is_url = ["postgres://", "postgresql://"].iter().any(|word| text.starts_with(word));
        if is_url { Self::of_url(text) } else { Self::of_words(text) }
    }

    fn of_url(text: &str) -> Self {
        let Some((before, query)) = text.split_once('?') else {
            return Self { rest: text.to_owned(), root: None };
        };
        let mut told = Self::default();
        let mut kept = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            kept.extend(told.take(pair, key, &decoded(value)));
        }
        told.rest = if kept.is_empty() {
            before.to_owned()
        } else {
            format!("{before}?{}", kept.join("&"))
        };
        told
    }

    fn of_words(text: &str) -> Self {
        let mut told = Self::default();
        let mut kept = Vec::new();
        let mut left = text.trim_start();
        while !left.is_empty() {
            let Some((pair, key, value, rest)) = next_word(left) else {
                kept.push(left.to_owned());
                break;
            };
            kept.extend(told.take(pair, key, &value));
            left = rest.trim_start();
        }
        told.rest = kept.join(" ");
        told
    }

    /// What the driver is told in the place of this word. `None`: nothing.
    fn take(&mut self, pair: &str, key: &str, value: &str) -> Option<String> {
        match key {
            "sslrootcert" => {
                self.root = Some(value.to_owned());
                None
            }
            "sslmode" if CHECKED.contains(&value) => Some("sslmode=require".to_owned()),
            _ => Some(pair.to_owned()),
        }
    }
}

fn decoded(value: &str) -> String {
    let plus = value.replace('+', "%2B");
    let mut pairs = form_urlencoded::parse(plus.as_bytes());
    pairs.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// The first `key = value` of a string, its two sides, and what follows. Values may be quoted, and a
/// backslash takes the next character as it is.
fn next_word(text: &str) -> Option<(&str, &str, String, &str)> {
    let (key, after) = text.split_once('=')?;
    let begin = text.len() - after.trim_start().len();
    let mut characters = text.get(begin..)?.char_indices().peekable();
    let quoted = characters.next_if(|(_, character)| *character == '\'').is_some();
    let mut value = String::new();
    let mut end = text.len();
    let mut closed = !quoted;
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, taken)| taken)),
            '\'' if quoted => {
                end = begin + at + 1;
                closed = true;
                break;
            }
            space if !quoted && space.is_whitespace() => {
                end = begin + at;
                break;
            }
            other => value.push(other),
        }
    }
    let (pair, rest) = text.split_at_checked(end).filter(|_| closed)?;
    Some((pair, key.trim(), value, rest))
}

#[cfg(test)]
mod tests {
    use super::TlsWords;

    fn check(text: &str, rest: &str, root: Option<&str>) {
        let expected = TlsWords { rest: rest.to_owned(), root: root.map(str::to_owned) };
        assert_eq!(TlsWords::of(text), expected, "{text}");
    }

    #[test]
    fn what_psql_is_told_is_understood() {
        check("postgresql://db/updraft", "postgresql://db/updraft", None);
        check(
            "postgresql://u@db:5433/x?sslmode=verify-full&sslrootcert=/etc/db%20ca+1.pem&a=b%20c",
            "postgresql://u@db:5433/x?sslmode=require&a=b%20c",
            Some("/etc/db ca+1.pem"),
        );
        check("postgres://db/x?sslrootcert=a", "postgres://db/x", Some("a"));
        check("postgres://db/x?sslmode=disable", "postgres://db/x?sslmode=disable", None);
        check(
            r"host=db dbname = 'my \'db' sslmode=verify-ca sslrootcert='/a b' user=u",
            r"host=db dbname = 'my \'db' sslmode=require user=u",
            Some("/a b"),
        );
        check(r"sslrootcert=/a\ b host=db", "host=db", Some("/a b"));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_driver() {
        for text in ["nonsense", "host='open", "host=db x", "a=b 'c", "=", "postgres://", ""] {
            check(text, text, None);
        }
    }
}
