//! Expressions that say which devices belong to a group, as the device registry reads them.
//!
//! ```text
//! or      = and ("or" and)*              and = term ("and" term)*
//! term    = "(" or ")" | subject "contains" TEXT
//!         | subject "position" "(" N ")" "is" ["not"] CHARACTER
//! subject = "deviceid" | "tag" "(" NAME ")"
//! ```
//! Letters are compared without case; positions count from 1, and one behind the end is no character.
//! A device that has no tag of a name is chosen by no term about it.

use std::collections::BTreeMap;
use std::fmt;

use crate::names;

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 200;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// A device's tags and their values.
pub type Tags = BTreeMap<String, String>;

/// Which devices belong to a group. `Display` writes what is read as the same expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// One of these holds.
    Any(Vec<Expression>),
    /// All of these hold.
    All(Vec<Expression>),
    /// The subject has this in it, in lower case.
    Contains {
        /// What is looked at.
        subject: Subject,
        /// The text.
        text: String,
    },
    /// This character of the subject, counted from 0, is this one (or must not be).
    Character {
        /// What is looked at.
        subject: Subject,
        /// Which character.
        index: usize,
        /// The character, in lower case.
        is: char,
        /// It is excluded.
        negated: bool,
    },
}

/// What a term looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The device's id.
    Id,
    /// The value of its tag of this name.
    Tag(String),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("it is longer than {MAX_LENGTH} characters"));
        }
        let words = words(text);
        let mut reader = Reader { words: &words, depth: 0 };
        let expression = reader.any()?;
        match reader.words.first() {
            None => Ok(expression),
            Some(word) => Err(format!("`{}` was not expected", word.escape_default())),
        }
    }

    /// Whether the device of this id, with these tags, belongs to the group.
    #[must_use]
    pub fn holds(&self, id: &str, tags: &Tags) -> bool {
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(id, tags)),
            Self::All(all) => all.iter().all(|one| one.holds(id, tags)),
            Self::Contains { subject, text } => subject
                .of(id, tags)
                .is_some_and(|value| value.to_ascii_lowercase().contains(text.as_str())),
            Self::Character { subject, index, is, negated } => {
                subject.of(id, tags).is_some_and(|value| {
                    let found = value.chars().nth(*index).map(|found| found.to_ascii_lowercase());
                    (found == Some(*is)) != *negated
                })
            }
        }
    }

    /// Whether a term looks at the tag of this name.
    #[must_use]
    pub fn asks_for(&self, tag: &str) -> bool {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().any(|one| one.asks_for(tag)),
            Self::Contains { subject, .. } | Self::Character { subject, .. } => {
                matches!(subject, Subject::Tag(name) if name == tag)
            }
        }
    }

    /// Looks at the tag `name` wherever `tag` was looked at; says whether that was anywhere.
    pub fn rename_tag(&mut self, tag: &str, name: &str) -> bool {
        match self {
            Self::Any(all) | Self::All(all) => {
                all.iter_mut().filter_map(|one| one.rename_tag(tag, name).then_some(())).count() > 0
            }
            Self::Contains { subject, .. } | Self::Character { subject, .. } => match subject {
                Subject::Tag(own) if own == tag => {
                    name.clone_into(own);
                    true
                }
                _ => false,
            },
        }
    }
}

impl Subject {
    fn of<'a>(&self, id: &'a str, tags: &'a Tags) -> Option<&'a str> {
        match self {
            Self::Id => Some(id),
            Self::Tag(name) => tags.get(name).map(String::as_str),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("deviceid"),
            Self::Tag(name) => write!(f, "tag({name})"),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, between) = match self {
            Self::Any(all) => (all, " or "),
            Self::All(all) => (all, " and "),
            Self::Contains { subject, text } => return write!(f, "{subject} contains {text}"),
            Self::Character { subject, index, is, negated } => {
                let not = if *negated { "not " } else { "" };
                return write!(f, "{subject} position({}) is {not}{is}", index.saturating_add(1));
            }
        };
        for (index, one) in all.iter().enumerate() {
            if index > 0 {
                f.write_str(between)?;
            }
            // `and` binds more closely than `or`; a list in one of its own kind was in parentheses.
            match (self, one) {
                (_, Self::Any(_)) | (Self::All(_), Self::All(_)) => write!(f, "({one})")?,
                _ => write!(f, "{one}")?,
            }
        }
        Ok(())
    }
}

/// Words, and parentheses by themselves.
fn words(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Reader<'a> {
    words: &'a [String],
    depth: usize,
}

impl Reader<'_> {
    fn any(&mut self) -> Result<Expression, String> {
        self.list("or", Self::all, Expression::Any)
    }

    fn all(&mut self) -> Result<Expression, String> {
        self.list("and", Self::term, Expression::All)
    }

    fn list(
        &mut self,
        between: &str,
        read: fn(&mut Self) -> Result<Expression, String>,
        make: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, String> {
        let first = read(self)?;
        let mut list = vec![first];
        while self.take(between) {
            list.push(read(self)?);
        }
        match <[Expression; 1]>::try_from(list) {
            Ok([one]) => Ok(one),
            Err(list) => Ok(make(list)),
        }
    }

    fn term(&mut self) -> Result<Expression, String> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(format!("it is nested more than {MAX_DEPTH} deep"));
            }
            let inner = self.any()?;
            self.depth -= 1;
            self.need(")")?;
            return Ok(inner);
        }
        let subject = self.subject()?;
        if self.take("contains") {
            let text = self.word("a text")?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            if !text.bytes().all(fits) {
                return Err(format!("`{}` is nothing to look for", text.escape_default()));
            }
            return Ok(Expression::Contains { subject, text: text.to_ascii_lowercase() });
        }
        self.need("position")?;
        self.need("(")?;
        let number = self.word("a position")?;
        let position = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let index = position.ok_or_else(|| {
            format!("`{}` is no position, which count from 1", number.escape_default())
        })?;
        self.need(")")?;
        self.need("is")?;
        let negated = self.take("not");
        let text = self.word("a character")?;
        match text.as_bytes() {
            [one] if one.is_ascii_alphanumeric() => {
                let is = char::from(*one).to_ascii_lowercase();
                Ok(Expression::Character { subject, index, is, negated })
            }
            _ => Err(format!("`{}` is no letter or digit", text.escape_default())),
        }
    }

    fn subject(&mut self) -> Result<Subject, String> {
        if !self.take("tag") {
            return self.need("deviceid").map(|()| Subject::Id);
        }
        self.need("(")?;
        let mut name = Vec::new();
        while !self.take(")") {
            name.push(self.word("`)` after the tag")?);
        }
        let name = name.join(" ");
        match names::tag(&name) {
            Ok(_) => Ok(Subject::Tag(name)),
            Err(_) => Err(format!("`{}` is no tag", name.escape_default())),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn need(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) { Ok(()) } else { Err(format!("`{word}` is missing")) }
    }

    fn word(&mut self, what: &str) -> Result<String, String> {
        let (first, rest) = self.words.split_first().ok_or_else(|| format!("{what} is missing"))?;
        self.words = rest;
        Ok(first.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, Tags};

    #[track_caller]
    fn check(expression: &str, holds: &[&str], not: &[&str]) {
        let parsed = Expression::parse(expression).unwrap();
        assert_eq!(Expression::parse(&parsed.to_string()).as_ref(), Ok(&parsed), "{parsed}");
        for id in holds {
            assert!(parsed.holds(id, &Tags::new()), "{expression}: {id}");
        }
        for id in not {
            assert!(!parsed.holds(id, &Tags::new()), "{expression}: {id}");
        }
    }

    #[test]
    fn expressions_choose_devices_as_the_registry_does() {
        check("deviceid contains abc", &["deviceABC", "abc"], &["ab"]);
        check("deviceid position(1) is d", &["deviceABC", "D1"], &["x", ""]);
        check("deviceid position(9) is not X", &["device", "deviceABy"], &["deviceABx"]);
        // `and` binds more closely than `or`.
        let both = "deviceid contains a and deviceid contains b or deviceid contains c";
        check(both, &["ab", "c"], &["a", "b"]);
        let nested = "deviceid contains a and (deviceid contains b or (deviceid position(1) is c))";
        check(nested, &["ab", "ca"], &["a", "c"]);
    }

    #[test]
    fn terms_about_tags_choose_devices_that_have_them() {
        let tags = Tags::from([("Home market".to_owned(), "Italy".to_owned())]);
        for (expression, holds) in [
            ("tag(Home market) contains ital", true),
            ("tag( Home  market ) contains ITALY", true),
            ("tag(Home market) position(1) is i", true),
            ("tag(Home market) position(2) is not t", false),
            ("tag(home market) contains italy", false),
            ("tag(other) position(1) is not x", false),
            ("tag(other) contains x or deviceid contains 1", true),
        ] {
            let mut parsed = Expression::parse(expression).unwrap();
            assert_eq!(parsed.holds("d1", &tags), holds, "{expression}");
            assert_eq!(Expression::parse(&parsed.to_string()).as_ref(), Ok(&parsed), "{parsed}");
            let asks = expression.contains("Home");
            assert_eq!(parsed.asks_for("Home market"), asks, "{expression}");
            assert_eq!(parsed.rename_tag("Home market", "market"), asks, "{expression}");
            assert_eq!(parsed.asks_for("market"), asks, "{parsed}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "deviceid",
            "deviceid contains",
            "deviceid contains a b",
            "(deviceid contains a",
            "deviceid position(0) is a",
            "deviceid position(1) is ab",
            "deviceid position(1) is -",
            "deviceid contains a%",
            "tag contains x",
            "tag() contains x",
            "tag(a-b) contains x",
            "tag(a contains x",
            "tag((a)) contains x",
            "deviceid contains a or",
            &"(".repeat(100),
            &"x".repeat(201),
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
