//! [`Script`]: the language of `updater-script` (edify), read into expressions.
//!
//! ```text
//! expression   "text" | word | NAME(expression, …) | ( expression ) | ! expression
//!              | expression OPERATOR expression     OPERATOR: + == != && || ;
//!              | if expression then expression [else expression] endif
//! ```
//! A script is one expression; all values are text, and the empty text is what is not true. `;` binds
//! least, then `||`, `&&`, `==` and `!=`, `+`, and `!`. `#` begins a comment. (AOSP,
//! `bootable/recovery/edify`.)

mod lexer;
mod parser;

use crate::Error;

/// The longest script that is read, in bytes.
pub const MAX_SCRIPT: u64 = 1 << 20;
/// How deep expressions may be within others.
pub(crate) const MAX_DEPTH: usize = 100;
/// The most expressions in a row or list: they are run one within the other.
pub(crate) const MAX_EXPRESSIONS: usize = 1 << 16;

/// A script that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// All of it.
    pub body: Expression,
}

/// Something that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Text as it is.
    Text(Vec<u8>),
    /// What a function says.
    Call {
        /// Its name.
        name: String,
        /// What it is given. It may leave some of it alone.
        arguments: Vec<Expression>,
        /// The line on which it is, from 1.
        line: usize,
    },
    /// One after the other; the value is the last one's.
    Sequence(Vec<Expression>),
    /// All of them together, one behind the other.
    Concat(Vec<Expression>),
    /// Whether two are the same, or whether they differ.
    Equal {
        /// Whether they shall differ.
        differ: bool,
        /// Both.
        sides: Box<[Expression; 2]>,
    },
    /// The second one if the first one is true.
    And(Box<[Expression; 2]>),
    /// The first one if it is true, else the second one.
    Or(Box<[Expression; 2]>),
    /// Whether it is not true.
    Not(Box<Expression>),
    /// What follows the condition.
    If {
        /// It, and what is done if it is true.
        condition: Box<[Expression; 2]>,
        /// What is done if it is not.
        otherwise: Option<Box<Expression>>,
    },
}

impl Script {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Script`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() as u64 > MAX_SCRIPT {
            return Err(Error::Script { line: 0, problem: "it is over 1 MiB" });
        }
        Ok(Self { body: parser::parse(lexer::tokens(text)?)? })
    }

    /// Every call of a function in it, in its order.
    #[must_use]
    pub fn calls(&self) -> Vec<(&str, &[Expression], usize)> {
        let mut calls = Vec::new();
        collect(&self.body, &mut calls);
        calls
    }
}

fn collect<'a>(expression: &'a Expression, calls: &mut Vec<(&'a str, &'a [Expression], usize)>) {
    if let Expression::Call { name, arguments, line } = expression {
        calls.push((name, arguments, *line));
    }
    for inner in expression.inner() {
        collect(inner, calls);
    }
}

impl Expression {
    /// The expressions within it, in their order.
    fn inner(&self) -> Vec<&Self> {
        match self {
            Self::Text(_) => Vec::new(),
            Self::Call { arguments: all, .. } | Self::Sequence(all) | Self::Concat(all) => {
                all.iter().collect()
            }
            Self::Equal { sides, .. } | Self::And(sides) | Self::Or(sides) => {
                sides.iter().collect()
            }
            Self::Not(one) => vec![one],
            Self::If { condition, otherwise } => {
                condition.iter().chain(otherwise.as_deref()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, Script};

    fn parse(text: &str) -> Expression {
        Script::parse(text.as_bytes()).unwrap().body
    }

    fn text(text: &str) -> Expression {
        Expression::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn operators_bind_as_in_edify() {
        let same = |one: &str, other: &str| assert_eq!(parse(one), parse(other), "{one}");
        same("a + b == c", "(a + b) == c");
        same("a == b && c", "(a == b) && c");
        same("a && b || c && d", "(a && b) || (c && d)");
        same("!a == b", "(!a) == b");
        same("a || b; c", "(a || b); c");
        same("a || b || c", "(a || b) || c");
        same("if a then b; c else d; endif", "if (a) then (b; c) else (d) endif");
        same("a;;b;", "a; b");
        same("f(a, b;c) # comment\n", "f((a), (b; c))");
        assert_eq!(parse("\"a\\n\\x41\\\"\""), text("a\nA\""));
        assert_eq!(parse("/dev/block:x_1.2"), text("/dev/block:x_1.2"));
    }

    #[test]
    fn calls_are_found_wherever_they_are() {
        let script = "a(b(), c) || d();\nif !e() then f() + g() else h() == i() endif";
        let script = Script::parse(script.as_bytes()).unwrap();
        let names: Vec<_> =
            script.calls().into_iter().map(|(name, _, line)| (name, line)).collect();
        let wanted =
            [("a", 1), ("b", 1), ("d", 1), ("e", 2), ("f", 2), ("g", 2), ("h", 2), ("i", 2)];
        assert_eq!(names, wanted);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "f(",
            "f(a",
            "f(a,)",
            "f(,a)",
            "a b",
            "if a then b",
            "if a b endif",
            "a ==",
            "== a",
            "\"a",
            "\"\\q\"",
            "\"\\x4\"",
            "(a",
            "a)",
            "&",
            "a & b",
            "=",
            "a | b",
            "else",
            "(a)(b)",
            "\"a\\",
        ] {
            assert!(Script::parse(text.as_bytes()).is_err(), "{text}");
        }
        for deep in ["(", "!", "f(", "if "] {
            assert!(Script::parse(deep.repeat(100_000).as_bytes()).is_err(), "{deep}");
        }
    }
}
