//! Files given to `commit` and `checkout`: `--statoverride`, `--skip-list`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use updraft_error::Kind;
use updraft_repo::commit::ModeChange;
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Reads a `--statoverride` file: `MODE PATH` adds bits, `=MODE PATH` replaces them. Numbers are decimal or `0x…`; a leading 0 means nothing.
pub(crate) fn statoverride(path: &Path) -> Result<BTreeMap<String, ModeChange>> {
    let text = read(path)?;
    text.lines().filter(|line| !line.is_empty()).map(mode_line).collect()
}

fn mode_line(line: &str) -> Result<(String, ModeChange)> {
    let bad = |message: &str| Failure::new(Kind::Invalid, message);
    let (mode, path) =
        line.split_once(' ').ok_or_else(|| bad("Malformed statoverride file (no space found)"))?;
    let (replace, digits) = match mode.strip_prefix('=') {
        Some(digits) => (true, digits),
        None => (false, mode),
    };
    let mode = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let mode = mode.map_err(|_| {
        bad(&format!("Malformed statoverride file: '{digits}' is not a number"))
            .hint("modes are decimal or 0x…: 2048 is set-uid")
    })?;
    let change = if replace { ModeChange::Set(mode) } else { ModeChange::Add(mode) };
    Ok((path.to_owned(), change))
}

/// Reads a `--skip-list` file: one path a line.
pub(crate) fn skip_list(path: &Path) -> Result<BTreeSet<String>> {
    Ok(read(path)?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("openat({})", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{ModeChange, mode_line};

    #[test]
    fn modes_are_decimal_or_hexadecimal() {
        let line = |line| mode_line(line).unwrap();
        assert_eq!(line("2048 /a b"), ("/a b".to_owned(), ModeChange::Add(0o4000)));
        assert_eq!(line("=0x1ff /x"), ("/x".to_owned(), ModeChange::Set(0o777)));
        assert_eq!(line("0755 /x"), ("/x".to_owned(), ModeChange::Add(755)));
        for bad in ["/x", "abc /x", "= /x", "-1 /x"] {
            assert!(mode_line(bad).is_err(), "{bad}");
        }
    }
}
