//! The text form of values, as `g_variant_print` writes it, with type annotations or without.

use std::fmt;

use super::Value;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, f, true)
    }
}

/// A value whose text does not say what types it is of.
#[derive(Debug)]
pub struct Untyped<'a>(&'a Value);

impl Value {
    /// The value for a text without type annotations.
    #[must_use]
    pub fn untyped(&self) -> Untyped<'_> {
        Untyped(self)
    }
}

impl fmt::Display for Untyped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f, false)
    }
}

/// Prints `value`; `annotate` says whether the reader cannot know the type otherwise.
fn print(value: &Value, f: &mut fmt::Formatter<'_>, annotate: bool) -> fmt::Result {
    let tag = |f: &mut fmt::Formatter<'_>, name: &str| {
        if annotate { write!(f, "{name} ") } else { Ok(()) }
    };
    match value {
        Value::Bool(value) => write!(f, "{value}"),
        Value::Byte(value) => {
            tag(f, "byte")?;
            write!(f, "0x{value:02x}")
        }
        Value::Int16(value) => {
            tag(f, "int16")?;
            write!(f, "{value}")
        }
        Value::Uint16(value) => {
            tag(f, "uint16")?;
            write!(f, "{value}")
        }
        Value::Int32(value) => write!(f, "{value}"),
        Value::Uint32(value) => {
            tag(f, "uint32")?;
            write!(f, "{value}")
        }
        Value::Handle(value) => {
            tag(f, "handle")?;
            write!(f, "{value}")
        }
        Value::Int64(value) => {
            tag(f, "int64")?;
            write!(f, "{value}")
        }
        Value::Uint64(value) => {
            tag(f, "uint64")?;
            write!(f, "{value}")
        }
        Value::Double(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
        Value::String(text) => quote(text, f),
        Value::ObjectPath(text) => {
            tag(f, "objectpath")?;
            quote(text, f)
        }
        Value::Signature(text) => {
            tag(f, "signature")?;
            quote(text, f)
        }
        Value::Bytes(bytes) => print_bytes(bytes, f, annotate),
        Value::Variant(inner) => {
            f.write_str("<")?;
            print(inner, f, true)?;
            f.write_str(">")
        }
        Value::Array(_, items) if items.is_empty() => {
            if annotate {
                write!(f, "@{} ", value.type_of())?;
            }
            let is_dict = value.type_of().to_string().starts_with("a{");
            f.write_str(if is_dict { "{}" } else { "[]" })
        }
        Value::Array(_, items) => print_items(items, f, annotate),
        Value::Maybe(inner, None) => {
            if annotate {
                write!(f, "@m{inner} ")?;
            }
            f.write_str("nothing")
        }
        Value::Maybe(_, Some(inner)) => {
            if annotate {
                write!(f, "@{} ", value.type_of())?;
            }
            print(inner, f, false)
        }
        Value::Tuple(members) => {
            f.write_str("(")?;
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                print(member, f, annotate)?;
            }
            f.write_str(if members.len() == 1 { ",)" } else { ")" })
        }
        Value::DictEntry(entry) => {
            f.write_str("{")?;
            print(&entry.0, f, annotate)?;
            f.write_str(", ")?;
            print(&entry.1, f, annotate)?;
            f.write_str("}")
        }
    }
}

/// Elements in brackets, a dictionary's entries in braces. Only the first one is annotated.
fn print_items(items: &[Value], f: &mut fmt::Formatter<'_>, annotate: bool) -> fmt::Result {
    let is_dict = matches!(items.first(), Some(Value::DictEntry(_)));
    f.write_str(if is_dict { "{" } else { "[" })?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        let annotate = annotate && index == 0;
        if let Value::DictEntry(entry) = item {
            print(&entry.0, f, annotate)?;
            f.write_str(": ")?;
            print(&entry.1, f, annotate)?;
        } else {
            print(item, f, annotate)?;
        }
    }
    f.write_str(if is_dict { "}" } else { "]" })
}

/// `b'text'` when the bytes are one NUL-terminated text, else `[byte 0x..]`.
fn print_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>, annotate: bool) -> fmt::Result {
    if let Some((0, text)) = bytes.split_last()
        && !text.contains(&0)
    {
        f.write_str("b")?;
        let delimiter = if text.contains(&b'\'') { '"' } else { '\'' };
        write!(f, "{delimiter}")?;
        for &byte in text {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\r' => f.write_str("\\r")?,
                b'"' if delimiter == '"' => f.write_str("\\\"")?,
                0x20..=0x7e => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        return write!(f, "{delimiter}");
    }
    if bytes.is_empty() {
        return f.write_str(if annotate { "@ay []" } else { "[]" });
    }
    f.write_str("[")?;
    for (index, byte) in bytes.iter().enumerate() {
        match index {
            0 if annotate => write!(f, "byte 0x{byte:02x}")?,
            0 => write!(f, "0x{byte:02x}")?,
            _ => write!(f, ", 0x{byte:02x}")?,
        }
    }
    f.write_str("]")
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let delimiter = if text.contains('\'') { '"' } else { '\'' };
    write!(f, "{delimiter}")?;
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c == delimiter => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "{delimiter}")
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn texts_are_those_of_glib() {
        for (value, text) in [
            (Value::String("it's".into()), "\"it's\""),
            (Value::Uint64(7), "uint64 7"),
            (Value::Bytes(b"hello\0".to_vec()), "b'hello'"),
            (Value::Bytes(vec![1, 2]), "[byte 0x01, 0x02]"),
            (Value::Bytes(vec![]), "@ay []"),
            (Value::strings(["a", "b"]), "['a', 'b']"),
            (Value::strings(Vec::<String>::new()), "@as []"),
            (Value::Variant(Box::new(Value::Bool(true))), "<true>"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
