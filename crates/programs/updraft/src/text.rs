//! Values as people read them in tables.

use jiff::Timestamp;
use serde::Serialize;

/// The first ten digits of a checksum: enough to tell commits apart by eye.
pub(crate) fn short(checksum: &str) -> String {
    checksum.chars().take(10).collect()
}

/// A time in UTC to the second.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The wire name of a plain enum's value.
pub(crate) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// A text from elsewhere without what would command the terminal: control characters other than line
/// ends and tabs are replaced.
pub(crate) fn printable(text: &str) -> String {
    let is_harmless = |it: char| !it.is_control() || matches!(it, '\n' | '\t');
    text.chars().map(|it| if is_harmless(it) { it } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::{name_of, printable, short, time};

    #[test]
    fn values_read_well() {
        assert_eq!(short("0123456789abcdef"), "0123456789");
        assert_eq!(name_of(&updraft_api::RolloutState::Running), "running");
        assert_eq!(printable("a\tb\n\u{1b}[2Jc\u{9b}d"), "a\tb\n\u{fffd}[2Jc\u{fffd}d");
        assert_eq!(time("2026-01-02T03:04:05.6Z".parse().unwrap()), "2026-01-02 03:04:05");
    }
}
