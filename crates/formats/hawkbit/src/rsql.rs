//! RSQL, the query language of hawkBit's Management API: a superset of FIQL.
//!
//! ```text
//! query      = and *( ( "," / " or " ) and )
//! and        = term *( ( ";" / " and " ) term )
//! term       = "(" query ")" / selector operator ( value / "(" value *( "," value ) ")" )
//! operator   = "==" / "!=" / "<" / "<=" / ">" / ">=" / "=" 1*letter "="
//! ```
//! Source: <https://github.com/jirutka/rsql-parser>, grammar section.

use crate::error::{Error, Result};

/// The longest query, in bytes.
const MAX_LENGTH: usize = 8 * 1024;
/// How deep parentheses may be.
const MAX_DEPTH: usize = 32;
/// The most comparisons and values of one query.
const MAX_VALUES: usize = 1000;

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All of these hold; at least two.
    And(Vec<Query>),
    /// One of these holds; at least two.
    Or(Vec<Query>),
    /// A comparison.
    Compare(Comparison),
}

/// One field compared with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The field, such as `controllerId` or `attribute.revision`.
    pub selector: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; exactly one unless the operator is [`Operator::In`] or [`Operator::NotIn`].
    /// In values, `*` stands for any characters and `\*` for itself.
    pub values: Vec<String>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`, `=eq=`, `=li=`, `=is=`.
    Equal,
    /// `!=`, `=ne=`, `=not=`.
    NotEqual,
    /// `<`, `=lt=`.
    Less,
    /// `<=`, `=le=`.
    LessOrEqual,
    /// `>`, `=gt=`.
    Greater,
    /// `>=`, `=ge=`.
    GreaterOrEqual,
    /// `=in=`.
    In,
    /// `=out=`.
    NotIn,
    /// `=is=null`.
    IsNull,
    /// `=not=null`.
    IsNotNull,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Error::Query`] with the place where it goes wrong, also for one that is too long or deep.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            return Err(Error::Query { position: MAX_LENGTH, reason: "it is too long" });
        }
        let mut parser = Parser { rest: text, text, values: 0 };
        let query = parser.or(0)?;
        parser.skip_spaces();
        if parser.rest.is_empty() { Ok(query) } else { Err(parser.wrong("`;`, `,` or the end")) }
    }

    /// Calls `look` with each comparison.
    pub fn for_each<'a>(&'a self, look: &mut impl FnMut(&'a Comparison)) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.for_each(look);
                }
            }
            Self::Compare(comparison) => look(comparison),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    values: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, reason: &'static str) -> Error {
        let before = self.text.len().saturating_sub(self.rest.len());
        let characters = self.text.get(..before).map_or(0, |text| text.chars().count());
        Error::Query { position: characters.saturating_add(1), reason }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word between blanks, in any case.
    fn eat_word(&mut self, word: &str) -> bool {
        let Some((head, tail)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = tail.starts_with(|next: char| next.is_whitespace() || next == '(');
        if head.eq_ignore_ascii_case(word) && ends {
            self.rest = tail;
            return true;
        }
        false
    }

    fn or(&mut self, depth: usize) -> Result<Query> {
        let parts = self.list(depth, ",", "or", Self::and)?;
        Ok(one_or(parts, Query::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Query> {
        let parts = self.list(depth, ";", "and", Self::term)?;
        Ok(one_or(parts, Query::And))
    }

    fn list(
        &mut self,
        depth: usize,
        sign: &str,
        word: &str,
        part: fn(&mut Self, usize) -> Result<Query>,
    ) -> Result<Vec<Query>> {
        let mut parts = vec![part(self, depth)?];
        loop {
            self.skip_spaces();
            if !self.eat(sign) && !self.eat_word(word) {
                return Ok(parts);
            }
            parts.push(part(self, depth)?);
        }
    }

    fn term(&mut self, depth: usize) -> Result<Query> {
        self.skip_spaces();
        if self.eat("(") {
            if depth >= MAX_DEPTH {
                return Err(self.wrong("fewer parentheses in each other"));
            }
            let query = self.or(depth.saturating_add(1))?;
            self.skip_spaces();
            return if self.eat(")") { Ok(query) } else { Err(self.wrong("`)`")) };
        }
        let selector = self.unreserved();
        if selector.is_empty() {
            return Err(self.wrong("a field"));
        }
        self.skip_spaces();
        let operator = self.operator()?;
        self.skip_spaces();
        let values = self.arguments(operator)?;
        let operator = match (operator, values.as_slice()) {
            (Written::Is, [value]) if value.eq_ignore_ascii_case("null") => Operator::IsNull,
            (Written::IsNot, [value]) if value.eq_ignore_ascii_case("null") => Operator::IsNotNull,
            (Written::Is, _) => Operator::Equal,
            (Written::IsNot, _) => Operator::NotEqual,
            (Written::Plain(operator), _) => operator,
        };
        Ok(Query::Compare(Comparison { selector: selector.to_owned(), operator, values }))
    }

    fn unreserved(&mut self) -> &'a str {
        let reserved = |c: char| c.is_whitespace() || "\"'();,=<>!~".contains(c);
        let end = self.rest.find(reserved).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn operator(&mut self) -> Result<Written> {
        use Operator as Is;
        for (sign, operator) in [
            ("==", Is::Equal),
            ("!=", Is::NotEqual),
            ("<=", Is::LessOrEqual),
            (">=", Is::GreaterOrEqual),
            ("<", Is::Less),
            (">", Is::Greater),
        ] {
            if self.eat(sign) {
                return Ok(Written::Plain(operator));
            }
        }
        let named = self.rest.strip_prefix('=').and_then(|rest| rest.split_once('='));
        let Some((name, rest)) = named else { return Err(self.wrong("an operator")) };
        let operator = match name.to_ascii_lowercase().as_str() {
            "eq" | "li" => Written::Plain(Is::Equal),
            "ne" => Written::Plain(Is::NotEqual),
            "lt" => Written::Plain(Is::Less),
            "le" => Written::Plain(Is::LessOrEqual),
            "gt" => Written::Plain(Is::Greater),
            "ge" => Written::Plain(Is::GreaterOrEqual),
            "in" => Written::Plain(Is::In),
            "out" => Written::Plain(Is::NotIn),
            "is" => Written::Is,
            "not" => Written::IsNot,
            _ => return Err(self.wrong("an operator")),
        };
        self.rest = rest;
        Ok(operator)
    }

    fn arguments(&mut self, operator: Written) -> Result<Vec<String>> {
        let several = matches!(operator, Written::Plain(Operator::In | Operator::NotIn));
        if !self.eat("(") {
            return Ok(vec![self.value()?]);
        }
        let mut values = Vec::new();
        loop {
            self.skip_spaces();
            values.push(self.value()?);
            self.skip_spaces();
            if self.eat(")") {
                break;
            }
            if !self.eat(",") {
                return Err(self.wrong("`,` or `)`"));
            }
        }
        if !several && values.len() != 1 {
            return Err(self.wrong("one value, for only =in= and =out= take several"));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<String> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES {
            return Err(self.wrong("fewer values"));
        }
        let quote = self.rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let Some(quote) = quote else {
            let word = self.unreserved();
            return if word.is_empty() { Err(self.wrong("a value")) } else { Ok(word.to_owned()) };
        };
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    // What escapes the wildcard is of the value, not of the quotes.
                    Some((_, '*')) => value.push_str("\\*"),
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                end if end == quote => {
                    let rest = at.saturating_add(quote.len_utf8());
                    self.rest = self.rest.get(rest..).unwrap_or_default();
                    return Ok(value);
                }
                other => value.push(other),
            }
        }
        Err(self.wrong("a value with its closing quote"))
    }
}

/// An operator as written, before its value is known.
#[derive(Debug, Clone, Copy)]
enum Written {
    Plain(Operator),
    Is,
    IsNot,
}

fn one_or(mut parts: Vec<Query>, several: fn(Vec<Query>) -> Query) -> Query {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            several(parts)
        }
        (_, None) => several(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::{Operator, Query};
    use crate::Error;
    use proptest::prelude::*;

    fn shown(query: &Query) -> String {
        let list = |parts: &[Query], sign: &str| {
            format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(sign))
        };
        match query {
            Query::And(parts) => list(parts, " & "),
            Query::Or(parts) => list(parts, " | "),
            Query::Compare(one) => {
                format!("{} {:?} {}", one.selector, one.operator, one.values.join("/"))
            }
        }
    }

    #[test]
    fn queries_of_scripts_are_read() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Query::parse(text).as_ref().map(shown), Ok(expect.to_owned()), "{text}");
        };
        check("id==targets-*", "id Equal targets-*");
        check("name == 'a b';tag!=x", "(name Equal a b & tag NotEqual x)");
        check("a==1,b==2;c==3", "(a Equal 1 | (b Equal 2 & c Equal 3))");
        check(
            "a==1 or b==2 AND (c==3,d==4)",
            "(a Equal 1 | (b Equal 2 & (c Equal 3 | d Equal 4)))",
        );
        check("attribute.rev=in=(1, \"2\",'3\\'')", "attribute.rev In 1/2/3'");
        check(
            "lastControllerRequestAt=lt=${OVERDUE_TS}",
            "lastControllerRequestAt Less ${OVERDUE_TS}",
        );
        check("group=is=null;group=not=NULL", "(group IsNull null & group IsNotNull NULL)");
        check("group=is=x", "group Equal x");
        check("weight>=5;weight<7", "(weight GreaterOrEqual 5 & weight Less 7)");
        check("a=='1\\*2'", "a Equal 1\\*2");
        check("order==1", "order Equal 1");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |text: &str, place: usize| match Query::parse(text) {
            Err(Error::Query { position, .. }) => assert_eq!(position, place, "{text}"),
            other => panic!("{text}: {other:?}"),
        };
        check("", 1);
        check("name", 5);
        check("name=xy=1", 5);
        check("name==", 7);
        check("name=='x", 7);
        check("(name==x", 9);
        check("name==x)", 8);
        check("name==(a,b)", 12);
        assert!(Query::parse(&"(".repeat(100_000)).is_err());
        assert!(Query::parse(&"(".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            drop(Query::parse(&text));
        }

        #[test]
        fn quoted_values_come_back(value in "[^*\\\\\"]{0,40}") {
            let query = Query::parse(&format!("a==\"{value}\""));
            let Ok(Query::Compare(one)) = query else { panic!("{query:?}") };
            prop_assert_eq!(one.operator, Operator::Equal);
            prop_assert_eq!(one.values, vec![value]);
        }
    }
}
