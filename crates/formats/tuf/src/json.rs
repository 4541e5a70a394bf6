//! Strict JSON reading (RFC 8259): what two readers could understand differently is refused.
//!
//! Duplicate member names, invalid UTF-8, lone surrogates, trailing bytes and numbers that do not
//! fit into 64 bits are errors; depth and size have limits. Members keep their order.

mod reader;
mod tree;

use serde_json::Value;

pub(crate) use reader::Document;
pub(crate) use tree::into_map;
pub use tree::{Json, Members};

use crate::FormatError;

/// Deepest nesting of arrays and objects. Metadata of the standards needs eight levels; custom
/// fields get room, and the reader's recursion stays far from the end of any thread's stack.
pub const MAX_DEPTH: usize = 64;

/// Reads one JSON value that fills all of `bytes`, which may have up to `max_length` bytes.
///
/// # Errors
/// [`FormatError::TooLarge`], [`FormatError::Syntax`] or [`FormatError::DuplicateKey`].
pub fn parse(bytes: &[u8], max_length: usize) -> Result<Value, FormatError> {
    Ok(Document::parse(bytes, max_length)?.value.into_value())
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
