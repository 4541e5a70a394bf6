//! Canonical JSON: the bytes that signatures and hashes cover.
//!
//! | | [`Dialect::Tuf`] (OLPC) | [`Dialect::Uptane`] (as jsoncpp writes it) |
//! |---|---|---|
//! | members | sorted by their UTF-8 bytes | the same |
//! | white space | none | none |
//! | strings | raw UTF-8; only `"` and `\` escaped | ASCII; `\b \f \n \r \t`, else `\uxxxx` |
//! | numbers | integers only | integers; others with 17 significant digits |

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Number, Value};

use crate::json::{Json, Members};
use crate::{Dialect, FormatError};

/// The canonical bytes of `value`.
///
/// # Errors
/// [`FormatError::NotCanonical`] for a number with a fraction or exponent in [`Dialect::Tuf`].
pub fn encode(dialect: Dialect, value: &Value) -> Result<Vec<u8>, FormatError> {
    encode_json(dialect, &value.into())
}

/// [`encode`] for what the reader made.
pub(crate) fn encode_json(dialect: Dialect, value: &Json<'_>) -> Result<Vec<u8>, FormatError> {
    let mut out = String::new();
    write_value(dialect, value, &mut out)?;
    Ok(out.into_bytes())
}

fn write_value(dialect: Dialect, value: &Json<'_>, out: &mut String) -> Result<(), FormatError> {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => write_number(dialect, number, out)?,
        Json::String(text) => write_string(dialect, text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(dialect, item, out)?;
            }
            out.push(']');
        }
        Json::Object(members) => write_object(dialect, members, out)?,
    }
    Ok(())
}

fn write_object(
    dialect: Dialect,
    members: &Members<'_>,
    out: &mut String,
) -> Result<(), FormatError> {
    // Texts compare by their UTF-8 bytes. Files come in canonical order mostly.
    if members.is_sorted_by(|(one, _), (other, _)| one <= other) {
        return write_members(dialect, members.iter(), out);
    }
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    write_members(dialect, sorted.into_iter(), out)
}

fn write_members<'a>(
    dialect: Dialect,
    members: impl Iterator<Item = &'a (Cow<'a, str>, Json<'a>)>,
    out: &mut String,
) -> Result<(), FormatError> {
    out.push('{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(dialect, key, out);
        out.push(':');
        write_value(dialect, value, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_number(dialect: Dialect, number: &Number, out: &mut String) -> Result<(), FormatError> {
    if number.is_i64() || number.is_u64() {
        // Writing to a text never fails.
        let _ = write!(out, "{number}");
        return Ok(());
    }
    match (dialect, number.as_f64()) {
        (Dialect::Uptane, Some(float)) => {
            out.push_str(&seventeen_digits(float));
            Ok(())
        }
        _ => Err(FormatError::NotCanonical { text: number.to_string() }),
    }
}

/// `%.17g` of C, with `.0` appended when the result looks like an integer, as jsoncpp does.
fn seventeen_digits(float: f64) -> String {
    const SIGNIFICANT: i32 = 17;
    let scientific = format!("{float:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..SIGNIFICANT).contains(&exponent) {
        let decimals = usize::try_from(SIGNIFICANT - 1 - exponent).unwrap_or(0);
        let fixed = format!("{float:.decimals$}");
        let trimmed = trim_zeros(&fixed);
        if trimmed.contains('.') { trimmed.to_owned() } else { format!("{trimmed}.0") }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs())
    }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn write_string(dialect: Dialect, text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while !rest.is_empty() {
        // What stops a run is ASCII, or the first byte of a character.
        let run = rest.bytes().position(|byte| is_special(dialect, byte)).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(run);
        out.push_str(plain);
        let mut characters = tail.chars();
        if let Some(character) = characters.next() {
            write_escaped(character, out);
        }
        rest = characters.as_str();
    }
    out.push('"');
}

fn is_special(dialect: Dialect, byte: u8) -> bool {
    match byte {
        b'"' | b'\\' => true,
        0x20..=0x7f => false,
        _ => dialect == Dialect::Uptane,
    }
}

fn write_escaped(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{encode, seventeen_digits};
    use crate::{Dialect, FormatError, json};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn text(dialect: Dialect, value: &Value) -> String {
        String::from_utf8(encode(dialect, value).unwrap()).unwrap()
    }

    #[test]
    fn members_are_sorted_and_white_space_is_gone() {
        let value = json!({"b": [1, {"z": null, "a": true}], "a": "x", "B": -5, "é": 0});
        let expect = r#"{"B":-5,"a":"x","b":[1,{"a":true,"z":null}],"é":0}"#;
        assert_eq!(text(Dialect::Tuf, &value), expect);
        assert_eq!(text(Dialect::Uptane, &value), expect.replace('é', "\\u00e9"));
    }

    #[test]
    fn strings_differ_between_the_dialects() {
        let value = json!("a\"\\/\n\t\u{1}é😀\u{7f}");
        assert_eq!(text(Dialect::Tuf, &value), "\"a\\\"\\\\/\n\t\u{1}é😀\u{7f}\"");
        let expect = "\"a\\\"\\\\/\\n\\t\\u0001\\u00e9\\ud83d\\ude00\u{7f}\"";
        assert_eq!(text(Dialect::Uptane, &value), expect);
    }

    #[test]
    fn floats_are_for_uptane_only() {
        assert!(matches!(
            encode(Dialect::Tuf, &json!({"a": 1.5})),
            Err(FormatError::NotCanonical { .. })
        ));
        for (float, expect) in [
            (1.5, "1.5"),
            (0.1, "0.10000000000000001"),
            (1.0, "1.0"),
            (-2.25, "-2.25"),
            (1e17, "1e+17"),
            (1.25e-7, "1.2499999999999999e-07"),
            (1e16, "10000000000000000.0"),
            (0.0001, "0.0001"),
        ] {
            assert_eq!(seventeen_digits(float), expect);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_uptane_form_reads_back_as_the_same_value(value in any_json()) {
            let bytes = encode(Dialect::Uptane, &value).unwrap();
            prop_assert!(bytes.is_ascii());
            let back = json::parse(&bytes, usize::MAX).unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(encode(Dialect::Uptane, &back).unwrap(), bytes);
        }

        #[test]
        fn the_olpc_form_depends_on_the_value_only(value in any_json()) {
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            let back = json::parse(&pretty, usize::MAX).unwrap();
            prop_assert_eq!(
                encode(Dialect::Tuf, &back).unwrap(),
                encode(Dialect::Tuf, &value).unwrap()
            );
        }

        #[test]
        fn floats_read_back_exactly(float in prop::num::f64::NORMAL) {
            let back: f64 = seventeen_digits(float).parse().unwrap();
            prop_assert_eq!(back.to_bits(), float.to_bits());
        }
    }
}
