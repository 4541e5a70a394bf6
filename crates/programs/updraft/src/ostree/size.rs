//! Sizes for people, as GLib's `g_format_size` writes them: decimal units, a no-break space.

/// The largest unit that is reached at 1000, 1000², ….
const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// `7 bytes`, `1.2 kB`.
pub(crate) fn format_size(bytes: u64) -> String {
    if bytes == 1 {
        return "1 byte".to_owned();
    }
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while value >= 1000.0 {
        let Some(next) = units.next() else { break };
        value /= 1000.0;
        unit = Some(next);
    }
    format!("{value:.1}\u{a0}{}", unit.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::format_size;

    #[test]
    fn sizes_are_those_of_glib() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0\u{a0}kB"),
            (999_999, "1000.0\u{a0}kB"),
            (3_000_000, "3.0\u{a0}MB"),
            (u64::MAX, "18.4\u{a0}EB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }
}
