//! Values of expressions. All are bytes; the empty ones are not true.

use updraft_payload::script::Expression;

use super::Updater;
use crate::{Error, Result};

pub(super) type Value = Vec<u8>;

/// The value that is true.
pub(super) fn truth(is: bool) -> Value {
    if is { b"t".to_vec() } else { Value::new() }
}

impl Updater<'_> {
    pub(super) fn evaluate(&self, expression: &Expression) -> Result<Value> {
        match expression {
            Expression::Text(text) => Ok(text.clone()),
            Expression::Call { name, arguments, .. } => {
                self.context.check()?;
                self.call(name, arguments)
            }
            Expression::Sequence(all) => {
                let mut last = Value::new();
                for one in all {
                    last = self.evaluate(one)?;
                }
                Ok(last)
            }
            Expression::Concat(all) => {
                let values: Result<Vec<Value>> = all.iter().map(|one| self.evaluate(one)).collect();
                Ok(values?.concat())
            }
            Expression::Equal { differ, sides } => {
                let [left, right] = &**sides;
                Ok(truth((self.evaluate(left)? == self.evaluate(right)?) != *differ))
            }
            Expression::And(sides) => {
                let [left, right] = &**sides;
                if self.evaluate(left)?.is_empty() {
                    return Ok(Value::new());
                }
                self.evaluate(right)
            }
            Expression::Or(sides) => {
                let [left, right] = &**sides;
                let value = self.evaluate(left)?;
                if value.is_empty() { self.evaluate(right) } else { Ok(value) }
            }
            Expression::Not(one) => Ok(truth(self.evaluate(one)?.is_empty())),
            Expression::If { condition, otherwise } => {
                let [condition, then] = &**condition;
                match (self.evaluate(condition)?.is_empty(), otherwise) {
                    (false, _) => self.evaluate(then),
                    (true, Some(otherwise)) => self.evaluate(otherwise),
                    (true, None) => Ok(Value::new()),
                }
            }
        }
    }

    /// The value as text.
    pub(super) fn text(&self, expression: &Expression) -> Result<String> {
        let value = self.evaluate(expression)?;
        String::from_utf8(value).map_err(|_| Error::Script {
            message: "a value should be text, and is none".to_owned(),
            code: None,
            source: None,
        })
    }

    pub(super) fn texts(&self, expressions: &[Expression]) -> Result<Vec<String>> {
        expressions.iter().map(|one| self.text(one)).collect()
    }

    /// Gives up, with the last failure as the cause. `E1001: text` names a number.
    pub(super) fn abort(&self, message: &str) -> Error {
        let code = message.strip_prefix('E').and_then(|rest| rest.split_once(':'));
        let code = code.and_then(|(digits, _)| digits.parse().ok());
        let source = self.cause.take().map(Box::new);
        Error::Script { message: message.trim_end().to_owned(), code, source }
    }

    /// Tells the script whether something worked, and keeps why it did not.
    pub(super) fn told(&self, result: Result<()>) -> Result<Value> {
        match result {
            Ok(()) => Ok(truth(true)),
            Err(error @ (Error::Cancelled(_) | Error::RebootNow)) => Err(error),
            Err(error) => {
                self.say(&error.to_string());
                self.cause.replace(Some(error));
                Ok(truth(false))
            }
        }
    }

    pub(super) fn say(&self, text: &str) {
        self.context.report(&updraft_task::Event::Message(text.trim_end().to_owned()));
    }
}
