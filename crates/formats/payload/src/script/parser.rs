//! Expressions of words and signs.

use super::lexer::Token;
use super::{Expression, MAX_DEPTH, MAX_EXPRESSIONS};
use crate::Error;

/// The most operators in a row; each is run within the next.
const MAX_CHAIN: usize = 400;

type Result<T> = std::result::Result<T, Error>;

pub(super) fn parse(tokens: Vec<(Token, usize)>) -> Result<Expression> {
    if tokens.len() > MAX_EXPRESSIONS * 4 {
        return Err(Error::Script { line: 0, problem: "it has too many words" });
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, chained: 0 };
    let all = parser.sequence()?;
    if parser.at < parser.tokens.len() {
        return Err(parser.bad("something follows where the script should end"));
    }
    Ok(all)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    /// Operators of two sides so far in this expression: they lie one within the other.
    chained: usize,
}

impl Parser {
    fn bad(&self, problem: &'static str) -> Error {
        let at = self.at.min(self.tokens.len().saturating_sub(1));
        Error::Script { line: self.tokens.get(at).map_or(1, |(_, line)| *line), problem }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, wanted: &Token, problem: &'static str) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(self.bad(problem)) }
    }

    fn sequence(&mut self) -> Result<Expression> {
        let before = std::mem::take(&mut self.chained);
        let mut all = vec![self.or()?];
        while self.take(&Token::Semicolon) {
            self.chained = 0;
            let ends = matches!(
                self.peek(),
                None | Some(
                    Token::Semicolon
                        | Token::Close
                        | Token::Comma
                        | Token::Else
                        | Token::Endif
                        | Token::Then
                )
            );
            if !ends {
                all.push(self.or()?);
            }
        }
        self.chained = before;
        Ok(one_or(all, Expression::Sequence))
    }

    fn or(&mut self) -> Result<Expression> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            left = Expression::Or(Box::new([left, self.and()?]));
            self.chained += 1;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut left = self.equal()?;
        while self.take(&Token::And) {
            left = Expression::And(Box::new([left, self.equal()?]));
            self.chained += 1;
        }
        Ok(left)
    }

    fn equal(&mut self) -> Result<Expression> {
        let mut left = self.concat()?;
        loop {
            let differ = match self.peek() {
                Some(Token::Equal) => false,
                Some(Token::Differ) => true,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Equal { differ, sides: Box::new([left, self.concat()?]) };
            self.chained += 1;
        }
    }

    fn concat(&mut self) -> Result<Expression> {
        let mut all = vec![self.unary()?];
        while self.take(&Token::Plus) {
            all.push(self.unary()?);
        }
        Ok(one_or(all, Expression::Concat))
    }

    fn unary(&mut self) -> Result<Expression> {
        self.depth += 1;
        if self.depth > MAX_DEPTH || self.chained > MAX_CHAIN {
            return Err(self.bad("expressions are too deep within each other"));
        }
        let result = if self.take(&Token::Not) {
            self.unary().map(|one| Expression::Not(Box::new(one)))
        } else {
            self.primary()
        };
        self.depth -= 1;
        result
    }

    fn primary(&mut self) -> Result<Expression> {
        let Some((token, line)) = self.tokens.get(self.at).cloned() else {
            return Err(self.bad("it ends where something is missing"));
        };
        self.at += 1;
        match token {
            Token::Text(text) if self.take(&Token::Open) => {
                let name = String::from_utf8(text);
                let name = name.map_err(|_| self.bad("the name of a function is no text"))?;
                Ok(Expression::Call { name, arguments: self.arguments()?, line })
            }
            Token::Text(text) => Ok(Expression::Text(text)),
            Token::Open => {
                let inside = self.sequence()?;
                self.expect(&Token::Close, "a parenthesis is not closed")?;
                Ok(inside)
            }
            Token::If => {
                let condition = self.sequence()?;
                self.expect(&Token::Then, "`if` has no `then`")?;
                let then = self.sequence()?;
                let otherwise =
                    if self.take(&Token::Else) { Some(Box::new(self.sequence()?)) } else { None };
                self.expect(&Token::Endif, "`if` has no `endif`")?;
                Ok(Expression::If { condition: Box::new([condition, then]), otherwise })
            }
            _ => {
                self.at -= 1;
                Err(self.bad("there is a sign where something with a value should be"))
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expression>> {
        let mut arguments = Vec::new();
        if self.take(&Token::Close) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.sequence()?);
            if self.take(&Token::Close) {
                return Ok(arguments);
            }
            self.expect(&Token::Comma, "what a function is given has no end")?;
        }
    }
}

fn one_or(mut all: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            all.extend(last);
            many(all)
        }
    }
}
