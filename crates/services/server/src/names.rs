//! Names that come from outside, checked once, at the border.
//!
//! Everything that is later a path segment, a certificate's common name or a part of a log line
//! passes here first.

use crate::error::{Error, Result};

/// The longest device id: the upper bound of a certificate's common name (RFC 5280, A.1).
pub const MAX_DEVICE_ID: usize = 64;
/// The longest name of a group, release, rollout or token.
pub const MAX_NAME: usize = 64;
/// The longest component serial (Uptane's devices use 1 to 64 characters).
pub const MAX_SERIAL: usize = 64;
/// The longest hardware id (Uptane's devices use up to 200 characters).
pub const MAX_HARDWARE_ID: usize = 200;
/// The longest tag of a device.
pub const MAX_TAG: usize = 20;
/// The longest target name.
pub const MAX_TARGET_NAME: usize = 255;

/// Checks a device id: 1 to 64 of `A-Z a-z 0-9 . _ : @ + -`, not beginning with a dot.
pub fn device_id(id: &str) -> Result<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+-".contains(&byte);
    check("device id", id, MAX_DEVICE_ID, fits, "A-Z a-z 0-9 . _ : @ + -")
}

/// Checks the name of a group, release, rollout or token: 1 to 64 of `A-Z a-z 0-9 . _ -`, not
/// beginning with a dot.
pub fn name<'a>(what: &'static str, name: &'a str) -> Result<&'a str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    check(what, name, MAX_NAME, fits, "A-Z a-z 0-9 . _ -")
}

/// Checks a component's serial: 1 to 64 printable ASCII characters.
pub fn serial(serial: &str) -> Result<&str> {
    printable("component serial", serial, MAX_SERIAL)
}

/// Checks a hardware id: 1 to 200 printable ASCII characters.
pub fn hardware_id(id: &str) -> Result<&str> {
    printable("hardware id", id, MAX_HARDWARE_ID)
}

/// Checks a device's tag: 1 to 20 of `A-Z a-z 0-9 _` and single spaces between them.
pub fn tag(tag: &str) -> Result<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_ ".contains(&byte);
    let tag = check("tag", tag, MAX_TAG, fits, "A-Z a-z 0-9 _ and spaces")?;
    if tag.split(' ').any(str::is_empty) {
        let reason = "spaces stand alone, and between others".to_owned();
        return Err(Error::Name { what: "tag", value: shorten(tag), reason });
    }
    Ok(tag)
}

/// Checks a target's name: a relative path without `.` or `..` parts.
pub fn target_name(name: &str) -> Result<&str> {
    let invalid = |reason: &'static str| Error::Name {
        what: "target name",
        value: shorten(name),
        reason: reason.to_owned(),
    };
    if name.is_empty() || name.len() > MAX_TARGET_NAME {
        return Err(invalid("it must have 1 to 255 bytes"));
    }
    if name.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\') {
        return Err(invalid("control characters and backslashes are not allowed"));
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(invalid("it must be a relative path without empty, . and .. parts"));
    }
    Ok(name)
}

/// Whether this is SHA-256 in lower hex.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn printable<'a>(what: &'static str, value: &'a str, max: usize) -> Result<&'a str> {
    check(what, value, max, |byte| (0x20..0x7f).contains(&byte), "printable ASCII")
}

fn check<'a>(
    what: &'static str,
    value: &'a str,
    max: usize,
    fits: impl Fn(u8) -> bool,
    alphabet: &str,
) -> Result<&'a str> {
    if value.is_empty() || value.len() > max || value.starts_with('.') || !value.bytes().all(fits) {
        return Err(Error::Name {
            what,
            value: shorten(value),
            reason: format!(
                "it must have 1 to {max} characters of {alphabet}, and not begin with a dot"
            ),
        });
    }
    Ok(value)
}

/// Enough of a refused value to recognise it.
fn shorten(value: &str) -> String {
    value.chars().take(80).collect::<String>().escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::{device_id, hardware_id, name, serial, tag, target_name};

    #[test]
    fn good_names_pass() {
        assert!(device_id("0f1e-aged.thundering_comanche:7@x+y").is_ok());
        assert!(name("group", "canary-2.1_x").is_ok());
        assert!(serial("ECU 001").is_ok());
        assert!(hardware_id("qemux86-64").is_ok());
        assert!(tag("Home market_2").is_ok());
        assert!(target_name("os/debian-12.3 (test)").is_ok());
    }

    #[test]
    fn what_could_climb_hide_or_break_a_line_is_refused() {
        for id in ["", ".", "..", "../x", "a/b", "a\\b", "a b", "a\nb", "é", &"x".repeat(65)] {
            assert!(device_id(id).is_err(), "{id:?}");
            assert!(name("group", id).is_err(), "{id:?}");
        }
        for path in ["", "/x", "a//b", "a/../b", "..", "a/.", "a\\b", "a\0b", &"x".repeat(256)] {
            assert!(target_name(path).is_err(), "{path:?}");
        }
        assert!(serial("a\tb").is_err());
        for text in ["", " a", "a ", "a  b", "a-b", "tag(x)", "é", &"x".repeat(21)] {
            assert!(tag(text).is_err(), "{text:?}");
        }
    }
}
