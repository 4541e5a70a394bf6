//! Expressions that say which devices belong to a group, as the device registry reads them.
//!
//! ```text
//! or    = and ("or" and)*                and = term ("and" term)*
//! term  = "(" or ")" | "deviceid" "contains" TEXT
//!       | "deviceid" "position" "(" N ")" "is" ["not"] CHARACTER
//! ```
//! Letters are compared without case; positions count from 1, and one behind the end is no character.

/// Longest expression, in bytes, and deepest nesting.
const MAX_LENGTH: usize = 200;
const MAX_DEPTH: usize = 32;

/// Which devices belong to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// One of these holds.
    Any(Vec<Expression>),
    /// All of these hold.
    All(Vec<Expression>),
    /// The device's id has this in it.
    Contains(String),
    /// This character of the id, counted from 0, is this one (or must not be).
    Character {
        /// Which character of the id.
        index: usize,
        /// The character, in lower case.
        is: char,
        /// It is excluded.
        negated: bool,
    },
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

    /// Whether the device of this id belongs to the group.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(id)),
            Self::All(all) => all.iter().all(|one| one.holds(id)),
            Self::Contains(text) => id.to_ascii_lowercase().contains(text.as_str()),
            Self::Character { index, is, negated } => {
                let found = id.chars().nth(*index).map(|found| found.to_ascii_lowercase());
                (found == Some(*is)) != *negated
            }
        }
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
        self.need("deviceid")?;
        if self.take("contains") {
            let text = self.word("a text")?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            if !text.bytes().all(fits) {
                return Err(format!("`{}` is no part of a device's id", text.escape_default()));
            }
            return Ok(Expression::Contains(text.to_ascii_lowercase()));
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
                Ok(Expression::Character { index, is, negated })
            }
            _ => Err(format!("`{}` is no letter or digit", text.escape_default())),
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
    use super::Expression;

    #[track_caller]
    fn check(expression: &str, holds: &[&str], not: &[&str]) {
        let parsed = Expression::parse(expression).unwrap();
        for id in holds {
            assert!(parsed.holds(id), "{expression}: {id}");
        }
        for id in not {
            assert!(!parsed.holds(id), "{expression}: {id}");
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
            "tag(market) contains x",
            "deviceid contains a or",
            &"(".repeat(100),
            &"x".repeat(201),
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
