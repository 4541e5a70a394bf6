//! Strict JSON reading (RFC 8259): what two readers could understand differently is refused.
//!
//! Duplicate member names, invalid UTF-8, lone surrogates, trailing bytes and numbers that do not
//! fit into 64 bits are errors; depth and size have limits. Members keep their order.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::FormatError;

/// Deepest nesting of arrays and objects. Metadata of the standards needs eight levels; custom
/// fields get room, and the reader's recursion stays far from the end of any thread's stack.
pub const MAX_DEPTH: usize = 64;

/// Reads one JSON value that fills all of `bytes`, which may have up to `max_length` bytes.
///
/// # Errors
/// [`FormatError::TooLarge`], [`FormatError::Syntax`] or [`FormatError::DuplicateKey`].
pub fn parse(bytes: &[u8], max_length: usize) -> Result<Value, FormatError> {
    if bytes.len() > max_length {
        return Err(FormatError::TooLarge { length: bytes.len(), limit: max_length });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| FormatError::Syntax {
        offset: error.valid_up_to(),
        problem: "invalid UTF-8",
    })?;
    let mut reader = Reader { text, offset: 0 };
    reader.skip_whitespace();
    let value = reader.value(0)?;
    reader.skip_whitespace();
    if reader.offset < text.len() {
        return Err(reader.error("bytes after the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    /// Always on a character boundary.
    offset: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: &'static str) -> FormatError {
        FormatError::Syntax { offset: self.offset, problem }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.offset += 1;
        }
        found
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), FormatError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(problem)) }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.offset += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, FormatError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.error("a value was expected")),
            None => Err(self.error("the text ends early")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, FormatError> {
        if !self.rest().starts_with(word) {
            return Err(self.error("a value was expected"));
        }
        self.offset += word.len();
        Ok(value)
    }

    fn descend(&self, depth: usize) -> Result<usize, FormatError> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(self.error("nested too deeply")) }
    }

    fn array(&mut self, depth: usize) -> Result<Value, FormatError> {
        let depth = self.descend(depth)?;
        self.expect(b'[', "an array was expected")?;
        let mut items = Vec::new();
        self.skip_whitespace();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_whitespace();
            items.push(self.value(depth)?);
            self.skip_whitespace();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',', "`,` or `]` was expected")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, FormatError> {
        let depth = self.descend(depth)?;
        self.expect(b'{', "an object was expected")?;
        let mut members = Map::new();
        self.skip_whitespace();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_whitespace();
            let key = self.string()?;
            self.skip_whitespace();
            self.expect(b':', "`:` was expected")?;
            self.skip_whitespace();
            let value = self.value(depth)?;
            match members.entry(key) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(known) => {
                    return Err(FormatError::DuplicateKey { key: known.key().clone() });
                }
            };
            self.skip_whitespace();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',', "`,` or `}` was expected")?;
        }
    }

    fn string(&mut self) -> Result<String, FormatError> {
        self.expect(b'"', "a string was expected")?;
        let mut text = String::new();
        loop {
            // All of these are ASCII, so a run ends on a character boundary.
            let run = self
                .rest()
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')
                .ok_or_else(|| self.error("a string has no end"))?;
            text.push_str(self.rest().get(..run).unwrap_or_default());
            self.offset += run;
            match self.peek() {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.offset += 1;
                    text.push(self.escape()?);
                }
                _ => return Err(self.error("a control character in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, FormatError> {
        let byte = self.peek().ok_or_else(|| self.error("the text ends early"))?;
        let plain = match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error("an unknown escape")),
        };
        self.offset += 1;
        Ok(plain)
    }

    /// Reads `uXXXX`, and the second half when it is a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, FormatError> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.expect(b'\\', "a lone surrogate")?;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error("a lone surrogate"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("a lone surrogate"))
    }

    fn hex4(&mut self) -> Result<u32, FormatError> {
        self.expect(b'u', "`\\u` was expected")?;
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("four hexadecimal digits were expected"))?;
        self.offset += 4;
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), FormatError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a digit was expected"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.offset += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, FormatError> {
        let start = self.offset;
        self.eat(b'-');
        if self.eat(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.error("a number with a leading zero"));
            }
        } else {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.eat(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.offset += 1;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.offset).unwrap_or_default();
        let number = if is_integer {
            text.parse::<i64>()
                .map(Number::from)
                .or_else(|_| text.parse::<u64>().map(Number::from))
                .ok()
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number.map(Value::Number).ok_or(FormatError::Syntax {
            offset: start,
            problem: "a number that does not fit into 64 bits",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, parse};
    use crate::FormatError;
    use serde_json::{Value, json};

    fn check(text: &str) -> Result<Value, FormatError> {
        parse(text.as_bytes(), 1 << 16)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            " [ ] ",
            "{}",
            r#"{"a":[1,-2,3.5,1e3,"x\n\u00e9\ud83d\ude00\/",true,false,null]}"#,
            "18446744073709551615",
            "-9223372036854775808",
        ] {
            let ours = check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(ours, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        assert_eq!(check("-0").unwrap(), json!(0));
    }

    #[test]
    fn refuses_a_member_named_twice_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"x":{"b":1,"\u0062":2}}]"#] {
            assert!(matches!(check(text), Err(FormatError::DuplicateKey { .. })), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\u12g4\"",
            "{} {}",
            "{1:2}",
            "18446744073709551616",
            "1e999",
            "\u{feff}{}",
            "NaN",
            "'a'",
            "[1]//",
        ] {
            assert!(matches!(check(text), Err(FormatError::Syntax { .. })), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\"", 10), Err(FormatError::Syntax { offset: 1, .. })));
    }

    #[test]
    fn depth_and_size_have_limits() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert!(check(&nested(MAX_DEPTH + 1)).is_err());
        assert_eq!(parse(b"[1]", 2), Err(FormatError::TooLarge { length: 3, limit: 2 }));
    }
}
