//! GVariant text, as `--add-metadata KEY=VALUE` takes it: `uint64 5`, `['a', 'b']`, `{'k': <1>}`.
//!
//! What is read: booleans, numbers, texts, byte strings (`b'…'`), arrays, tuples, dictionaries,
//! variants (`<…>`), the type keywords (`byte`, `int16` …) and annotations (`@TYPE`). A bare number
//! is an `i`, or a `d` when it has a point or an exponent.

use updraft_error::Kind;
use updraft_ostree::gvariant::{MAX_DEPTH, Type, Value};
use updraft_terminal::{Failure, Result};

/// Reads one value.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { whole: text, rest: text, start: 0 };
    let value = reader.value(None, 0).and_then(|value| {
        reader.blanks();
        if reader.rest.is_empty() { Ok(value) } else { Err("there is more after the value") }
    });
    value.map_err(|reason| {
        let (start, at) = (reader.start, reader.position());
        // What GLib says, where it says the same.
        let message = match reason {
            MISSING => format!("{at}:expected value"),
            // A letter alone is no word to GLib.
            UNKNOWN_WORD if at == start + 1 => format!("{start}:expected value"),
            UNKNOWN_WORD => format!("{start}-{at}:unknown keyword"),
            UNKNOWN_TYPE => format!("{start}-{at}:invalid type declaration"),
            TOO_LARGE => format!("{start}-{at}:integer too big for any type"),
            reason => format!("{at}:{reason}"),
        };
        Failure::new(Kind::Invalid, message)
    })
}

const MISSING: &str = "a value is missing";
const UNKNOWN_WORD: &str = "the word is unknown";
const UNKNOWN_TYPE: &str = "the type is unknown";
const TOO_LARGE: &str = "the number does not fit its type";

type Read<T> = std::result::Result<T, &'static str>;

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    /// Where the value begins that is being read.
    start: usize,
}

impl Reader<'_> {
    fn position(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: char) -> bool {
        self.blanks();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, token: char) -> Read<()> {
        if self.eat(token) { Ok(()) } else { Err("a bracket or separator is missing") }
    }

    fn word(&mut self, allowed: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn value(&mut self, wanted: Option<&Type>, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.blanks();
        self.start = self.position();
        let first = self.rest.chars().next().ok_or(MISSING)?;
        match first {
            '@' => {
                self.rest = &self.rest[1..];
                let name = self.word(|c| c.is_ascii_alphabetic() || "(){}".contains(c));
                let of = Type::parse(&name).map_err(|_| UNKNOWN_TYPE)?;
                self.value(Some(&of), depth + 1)
            }
            '\'' | '"' => text_of(wanted, self.quoted()?),
            'b' if self.rest[1..].starts_with(['\'', '"']) => {
                self.rest = &self.rest[1..];
                let mut bytes = self.quoted_bytes()?;
                bytes.push(0);
                Ok(Value::Bytes(bytes))
            }
            '<' => {
                self.rest = &self.rest[1..];
                let inner = self.value(None, depth + 1)?;
                self.expect('>')?;
                Ok(Value::Variant(Box::new(inner)))
            }
            '[' => self.array(wanted, depth),
            '(' => self.tuple(wanted, depth),
            '{' => self.dictionary(wanted, depth),
            c if c.is_ascii_alphabetic() => self.keyword(wanted, depth),
            _ => {
                let word = self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                number(wanted, &word)
            }
        }
    }

    fn keyword(&mut self, wanted: Option<&Type>, depth: usize) -> Read<Value> {
        let word = self.word(|c| c.is_ascii_alphanumeric());
        let of = match word.as_str() {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "nothing" => {
                let Some(Type::Maybe(inner)) = wanted else { return Err("a type is needed") };
                return Ok(Value::Maybe((**inner).clone(), None));
            }
            "just" => {
                let inner = match wanted {
                    Some(Type::Maybe(inner)) => Some(&**inner),
                    _ => None,
                };
                let value = self.value(inner, depth + 1)?;
                return Ok(Value::Maybe(value.type_of(), Some(Box::new(value))));
            }
            "boolean" => Type::Bool,
            "byte" => Type::Byte,
            "int16" => Type::Int16,
            "uint16" => Type::Uint16,
            "int32" => Type::Int32,
            "uint32" => Type::Uint32,
            "handle" => Type::Handle,
            "int64" => Type::Int64,
            "uint64" => Type::Uint64,
            "double" => Type::Double,
            "string" => Type::String,
            "objectpath" => Type::ObjectPath,
            "signature" => Type::Signature,
            _ => return Err(UNKNOWN_WORD),
        };
        self.value(Some(&of), depth + 1)
    }

    fn array(&mut self, wanted: Option<&Type>, depth: usize) -> Read<Value> {
        self.expect('[')?;
        let mut element = match wanted {
            Some(Type::Array(element)) => Some((**element).clone()),
            Some(_) => return Err("an array stands where another type is wanted"),
            None => None,
        };
        let mut items = Vec::new();
        while !self.eat(']') {
            if !items.is_empty() {
                self.expect(',')?;
            }
            let item = self.value(element.as_ref(), depth + 1)?;
            if *element.get_or_insert_with(|| item.type_of()) != item.type_of() {
                return Err("an array has elements of different types");
            }
            items.push(item);
        }
        let element = element.ok_or("the type of an empty array must be given")?;
        if element != Type::Byte {
            return Ok(Value::Array(element, items));
        }
        let byte = |item: &Value| if let Value::Byte(byte) = item { Some(*byte) } else { None };
        Ok(Value::Bytes(items.iter().filter_map(byte).collect()))
    }

    fn tuple(&mut self, wanted: Option<&Type>, depth: usize) -> Read<Value> {
        self.expect('(')?;
        let members = match wanted {
            Some(Type::Tuple(members)) => Some(members),
            Some(_) => return Err("a tuple stands where another type is wanted"),
            None => None,
        };
        let mut items = Vec::new();
        while !self.eat(')') {
            if !items.is_empty() {
                self.expect(',')?;
                if self.eat(')') {
                    break;
                }
            }
            let member = members.and_then(|members| members.get(items.len()));
            items.push(self.value(member, depth + 1)?);
        }
        match members {
            Some(members) if members.len() != items.len() => Err("a tuple has the wrong length"),
            _ => Ok(Value::Tuple(items)),
        }
    }

    fn dictionary(&mut self, wanted: Option<&Type>, depth: usize) -> Read<Value> {
        self.expect('{')?;
        let mut entry = match wanted {
            Some(Type::Array(element)) => Some((**element).clone()),
            Some(_) => return Err("a dictionary stands where another type is wanted"),
            None => None,
        };
        let mut items = Vec::new();
        while !self.eat('}') {
            if !items.is_empty() {
                self.expect(',')?;
            }
            let pair =
                if let Some(Type::DictEntry(pair)) = &entry { Some(pair.clone()) } else { None };
            let key = self.value(pair.as_ref().map(|pair| &pair.0), depth + 1)?;
            self.expect(':')?;
            let value = self.value(pair.as_ref().map(|pair| &pair.1), depth + 1)?;
            let item = Value::DictEntry(Box::new((key, value)));
            if *entry.get_or_insert_with(|| item.type_of()) != item.type_of() {
                return Err("a dictionary has entries of different types");
            }
            items.push(item);
        }
        let entry = entry.ok_or("the type of an empty dictionary must be given")?;
        Ok(Value::Array(entry, items))
    }

    fn quoted(&mut self) -> Read<String> {
        String::from_utf8(self.quoted_bytes()?).map_err(|_| "a text is not UTF-8")
    }

    fn quoted_bytes(&mut self) -> Read<Vec<u8>> {
        let mut chars = self.rest.chars();
        let delimiter = chars.next().ok_or("a text is missing")?;
        let mut bytes = Vec::new();
        loop {
            let c = match chars.next().ok_or("a text has no end")? {
                c if c == delimiter => break,
                '\\' => match chars.next().ok_or("a text has no end")? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'u' => escaped(&mut chars, 4, 16).and_then(char::from_u32).ok_or(BAD_ESCAPE)?,
                    digit @ '0'..='7' => {
                        let low = escaped(&mut chars, 2, 8).ok_or(BAD_ESCAPE)?;
                        let value = digit.to_digit(8).unwrap_or_default() * 64 + low;
                        bytes.push(u8::try_from(value).map_err(|_| BAD_ESCAPE)?);
                        continue;
                    }
                    c => c,
                },
                c => c,
            };
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.rest = chars.as_str();
        Ok(bytes)
    }
}

const BAD_ESCAPE: &str = "a text has a malformed escape";

fn escaped(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let digits: String = chars.by_ref().take(count).collect();
    if digits.len() == count { u32::from_str_radix(&digits, radix).ok() } else { None }
}

fn text_of(wanted: Option<&Type>, text: String) -> Read<Value> {
    match wanted {
        None | Some(Type::String) => Ok(Value::String(text)),
        Some(Type::ObjectPath) => Ok(Value::ObjectPath(text)),
        Some(Type::Signature) => Ok(Value::Signature(text)),
        Some(_) => Err("a text stands where another type is wanted"),
    }
}

fn number(wanted: Option<&Type>, word: &str) -> Read<Value> {
    let double = || word.parse::<f64>().map(|n| Value::Double(n.to_bits())).map_err(|_| BAD_NUMBER);
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i128::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i128::from_str_radix(digits, 8),
        None => digits.parse::<i128>(),
    };
    let integer = magnitude.map(|n| if negative { -n } else { n });
    let fit = |value: Option<Value>| value.ok_or(TOO_LARGE);
    match (wanted, integer) {
        (Some(Type::Double), _) | (None, Err(_)) => double(),
        (_, Err(_)) => Err(BAD_NUMBER),
        (None | Some(Type::Int32), Ok(n)) => fit(n.try_into().ok().map(Value::Int32)),
        (Some(Type::Byte), Ok(n)) => fit(n.try_into().ok().map(Value::Byte)),
        (Some(Type::Int16), Ok(n)) => fit(n.try_into().ok().map(Value::Int16)),
        (Some(Type::Uint16), Ok(n)) => fit(n.try_into().ok().map(Value::Uint16)),
        (Some(Type::Uint32), Ok(n)) => fit(n.try_into().ok().map(Value::Uint32)),
        (Some(Type::Handle), Ok(n)) => fit(n.try_into().ok().map(Value::Handle)),
        (Some(Type::Int64), Ok(n)) => fit(n.try_into().ok().map(Value::Int64)),
        (Some(Type::Uint64), Ok(n)) => fit(n.try_into().ok().map(Value::Uint64)),
        (Some(_), Ok(_)) => Err("a number stands where another type is wanted"),
    }
}

const BAD_NUMBER: &str = "it is not a number";

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_printed_can_be_read() {
        for text in [
            "true",
            "uint64 5",
            "-7",
            "byte 0x2a",
            "'a\\'b'",
            "\"it's\"",
            "['a', 'b']",
            "@as []",
            "b'xx'",
            "[byte 0x01, 0x02]",
            "('x', 1)",
            "{'x': <3>}",
            "@a{sv} {}",
            "<uint32 7>",
            "[[1, 2], [3]]",
            "(1,)",
            "@ay []",
        ] {
            let value = parse(text).unwrap();
            assert_eq!(parse(&value.to_string()).unwrap(), value, "{text}");
        }
        assert_eq!(parse(" [ 1 , 2 ] ").unwrap().to_string(), "[1, 2]");
        assert_eq!(parse("@ay b'x'").unwrap().to_string(), "b'x'");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "[", "[]", "foo", "1 2", "[1, 'a']", "byte 256", "'open", "{1}", "1x", "@zz 1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("1{}", "]".repeat(3))).is_err());
    }
}
