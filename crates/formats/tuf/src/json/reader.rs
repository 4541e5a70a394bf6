//! The reader: one pass over the text, texts borrowed from it, and a note of what came in
//! canonical form, so that this need not be written again to be hashed.

use std::borrow::Cow;

use serde_json::Number;

use super::{Json, MAX_DEPTH, Members};
use crate::FormatError;

/// A JSON text that was read.
pub(crate) struct Document<'a> {
    pub(crate) value: Json<'a>,
    /// Where the value is an object: for each of its members the value's own text, when that is in
    /// the canonical form of every dialect.
    canonical: Vec<Option<&'a str>>,
}

impl<'a> Document<'a> {
    /// Reads one JSON value that fills all of `bytes`, which may have up to `max_length` bytes.
    ///
    /// # Errors
    /// As [`super::parse`].
    pub(crate) fn parse(bytes: &'a [u8], max_length: usize) -> Result<Self, FormatError> {
        if bytes.len() > max_length {
            return Err(FormatError::TooLarge { length: bytes.len(), limit: max_length });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| FormatError::Syntax {
            offset: error.valid_up_to(),
            problem: "invalid UTF-8",
        })?;
        let mut reader = Reader { text, offset: 0, is_canonical: true, members: Vec::new() };
        reader.skip_whitespace();
        let value = reader.value(0)?;
        reader.skip_whitespace();
        if reader.offset < text.len() {
            return Err(reader.error("bytes after the value"));
        }
        Ok(Self { value, canonical: reader.members })
    }

    /// The text of the member `name` of an object, when it came in canonical form.
    pub(crate) fn canonical_member(&self, name: &str) -> Option<&'a str> {
        let Json::Object(members) = &self.value else { return None };
        let index = members.iter().position(|(key, _)| key == name)?;
        self.canonical.get(index).copied().flatten()
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Always on a character boundary.
    offset: usize,
    /// Cleared by whatever a canonical form would write in another way, or might.
    is_canonical: bool,
    /// What [`Document`] keeps of the outermost object's members.
    members: Vec<Option<&'a str>>,
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
            self.is_canonical = false;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, FormatError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("a value was expected")),
            None => Err(self.error("the text ends early")),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, FormatError> {
        if !self.rest().starts_with(word) {
            return Err(self.error("a value was expected"));
        }
        self.offset += word.len();
        Ok(value)
    }

    fn descend(&self, depth: usize) -> Result<usize, FormatError> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(self.error("nested too deeply")) }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, FormatError> {
        let depth = self.descend(depth)?;
        self.expect(b'[', "an array was expected")?;
        let mut items = Vec::new();
        self.skip_whitespace();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_whitespace();
            items.push(self.value(depth)?);
            self.skip_whitespace();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',', "`,` or `]` was expected")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, FormatError> {
        let depth = self.descend(depth)?;
        self.expect(b'{', "an object was expected")?;
        let mut members = Members::new();
        self.skip_whitespace();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        let mut is_sorted = true;
        loop {
            self.skip_whitespace();
            let key = self.string()?;
            is_sorted &= members.last().is_none_or(|(last, _)| *last < key);
            self.skip_whitespace();
            self.expect(b':', "`:` was expected")?;
            self.skip_whitespace();
            let value = if depth == 1 { self.outermost_member()? } else { self.value(depth)? };
            members.push((key, value));
            self.skip_whitespace();
            if self.eat(b'}') {
                break;
            }
            self.expect(b',', "`,` or `}` was expected")?;
        }
        if !is_sorted {
            self.is_canonical = false;
            refuse_duplicates(&members)?;
        }
        Ok(Json::Object(members))
    }

    fn outermost_member(&mut self) -> Result<Json<'a>, FormatError> {
        let start = self.offset;
        self.is_canonical = true;
        let value = self.value(1)?;
        let text = self.text.get(start..self.offset).filter(|_| self.is_canonical);
        self.members.push(text);
        Ok(value)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, FormatError> {
        self.expect(b'"', "a string was expected")?;
        let plain = self.run()?;
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        self.is_canonical = false;
        let mut text = plain.to_owned();
        loop {
            if self.eat(b'"') {
                return Ok(Cow::Owned(text));
            }
            self.expect(b'\\', "a string has no end")?;
            text.push(self.escape()?);
            text.push_str(self.run()?);
        }
    }

    /// The characters of a string up to its end or an escape.
    fn run(&mut self) -> Result<&'a str, FormatError> {
        let start = self.offset;
        loop {
            self.offset +=
                plain_length(self.text.as_bytes().get(self.offset..).unwrap_or_default());
            match self.peek() {
                Some(b'"' | b'\\') => break,
                Some(0x80..) => {
                    self.is_canonical = false;
                    while matches!(self.peek(), Some(0x80..)) {
                        self.offset += 1;
                    }
                }
                Some(_) => return Err(self.error("a control character in a string")),
                None => {
                    self.offset = start;
                    return Err(self.error("a string has no end"));
                }
            }
        }
        // What stops a run is ASCII, so it ends on a character boundary.
        Ok(self.text.get(start..self.offset).unwrap_or_default())
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

    fn number(&mut self) -> Result<Json<'a>, FormatError> {
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
        self.is_canonical &= is_integer && text != "-0";
        let number = if is_integer {
            text.parse::<i64>()
                .map(Number::from)
                .or_else(|_| text.parse::<u64>().map(Number::from))
                .ok()
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number.map(Json::Number).ok_or(FormatError::Syntax {
            offset: start,
            problem: "a number that does not fit into 64 bits",
        })
    }
}

/// How many bytes at the beginning are ASCII, no control characters, `"` or `\`: eight at a time.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = is_zero(word ^ (ONES * 0x22));
        let backslash = is_zero(word ^ (ONES * 0x5c));
        // A borrow can only set bits above one that is rightly set, so the lowest is right.
        let special = (word & HIGH) | control | quote | backslash;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| (0x20..0x80).contains(byte) && *byte != b'"' && *byte != b'\\';
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_plain(byte)).count()
}

fn refuse_duplicates(members: &Members<'_>) -> Result<(), FormatError> {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    let twice = keys.array_windows().find(|[one, other]| one == other);
    match twice {
        Some([key, _]) => Err(FormatError::DuplicateKey { key: (*key).to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, plain_length};
    use crate::{Dialect, canonical};
    use proptest::prelude::*;

    fn canonical_text(text: &str) -> Option<&str> {
        Document::parse(text.as_bytes(), 1 << 16).unwrap().canonical_member("signed")
    }

    #[test]
    fn what_came_in_canonical_form_is_told() {
        let signed = r#"{"a":[1,-2,true,null,"x y"],"b":{}}"#;
        let file = format!(" {{ \"signatures\" : [ 1.5 ], \"signed\" : {signed} , \"z\": \"é\"}} ");
        assert_eq!(canonical_text(&file), Some(signed));
        for other in [
            r#"{"b":1,"a":2}"#,
            r#"{"a": 1}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e2}"#,
            r#"{"a":-0}"#,
            r#"{"a":"é"}"#,
            r#"{"a":"\n"}"#,
            r#"{"\u0061":1}"#,
            r#"{"a":"\""}"#,
            "[1 ]",
        ] {
            assert_eq!(canonical_text(&format!(r#"{{"signed":{other}}}"#)), None, "{other}");
        }
    }

    #[test]
    fn plain_runs_end_where_they_should() {
        for special in ['"', '\\', '\n', '\u{1f}', 'é', '\0'] {
            for before in 0..20 {
                let text = format!("{}{special}\"\\ééé", "~".repeat(before));
                assert_eq!(plain_length(text.as_bytes()), before, "{text}");
            }
        }
        assert_eq!(plain_length("ab \u{7f}!#[]".repeat(3).as_bytes()), 24);
    }

    proptest! {
        #[test]
        fn a_text_that_is_called_canonical_is_so_in_both_dialects(text in r#"[\[\]{}:,"abA0-9.\-\\ ]{0,12}"#) {
            let file = format!(r#"{{"signed":{text}}}"#);
            let Ok(document) = Document::parse(file.as_bytes(), 1 << 16) else { return Ok(()) };
            let Some(found) = document.canonical_member("signed") else { return Ok(()) };
            prop_assert_eq!(found, text.trim());
            let value: serde_json::Value = serde_json::from_str(found).unwrap();
            for dialect in [Dialect::Tuf, Dialect::Uptane] {
                prop_assert_eq!(canonical::encode(dialect, &value).unwrap(), found.as_bytes());
            }
        }
    }
}
