//! GLib key files: a repository's `config`, a deployment's `.origin`.
//!
//! Groups in brackets, `key=value` lines, `#` comments. Lines that are not changed stay as they
//! are, in their order, so that a person's file survives our edits.

use std::fmt;

use crate::Error;

/// The largest key file that is read.
const MAX_SIZE: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// A comment or an empty line, kept as it is.
    Other(String),
    /// The beginning of a group.
    Group(String),
    /// A key with its escaped value.
    Entry { key: String, raw: String },
}

/// A GLib key file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFile {
    lines: Vec<Line>,
}

impl KeyFile {
    /// An empty file.
    #[must_use]
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_SIZE {
            let (size, limit) = (text.len() as u64, MAX_SIZE as u64);
            return Err(Error::TooLarge { what: "key file", size, limit });
        }
        let mut lines = Vec::new();
        let mut in_group = false;
        for (index, line) in text.lines().enumerate() {
            let bad = || Error::KeyFile { line: index + 1, text: line.to_owned() };
            // `lines` takes one carriage return; what is read must be what is written.
            let line = line.trim_end_matches('\r');
            let trimmed = line.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                lines.push(Line::Other(line.to_owned()));
            } else if let Some(rest) = trimmed.strip_prefix('[') {
                let name = rest
                    .trim_end()
                    .strip_suffix(']')
                    .filter(|name| !name.is_empty() && !name.contains(['[', ']']))
                    .ok_or_else(bad)?;
                lines.push(Line::Group(name.to_owned()));
                in_group = true;
            } else {
                let (key, value) = trimmed.split_once('=').ok_or_else(bad)?;
                let key = key.trim_end();
                if key.is_empty() {
                    return Err(bad());
                }
                if !in_group {
                    return Err(Error::KeyFileStart);
                }
                let raw = value.trim_start().to_owned();
                lines.push(Line::Entry { key: key.to_owned(), raw });
            }
        }
        Ok(Self { lines })
    }

    /// The groups, in order, each once.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for line in &self.lines {
            if let Line::Group(name) = line
                && !groups.contains(&name.as_str())
            {
                groups.push(name.as_str());
            }
        }
        groups
    }

    /// Whether the group exists.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Group(name) if name == group))
    }

    /// The keys of a group, in order.
    pub fn keys(&self, group: &str) -> Vec<&str> {
        let mut keys = Vec::new();
        for (_, key, _) in self.entries(group) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The value with its escapes resolved. The last of several wins, as in GLib.
    #[must_use]
    pub fn get(&self, group: &str, key: &str) -> Option<String> {
        self.get_raw(group, key).map(unescape)
    }

    /// The value as it stands in the file.
    #[must_use]
    pub fn get_raw(&self, group: &str, key: &str) -> Option<&str> {
        self.entries(group).filter(|(_, have, _)| *have == key).map(|(_, _, raw)| raw).last()
    }

    /// The value as a boolean: `true`, `false`, `1` or `0`. `None` when absent.
    pub fn get_bool(&self, group: &str, key: &str) -> Result<Option<bool>, Error> {
        match self.get(group, key).as_deref().map(str::trim_end) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => {
                let reason = format!("{key} in [{group}] must be true or false");
                Err(Error::name("a boolean", other, reason))
            }
        }
    }

    /// The value as a list separated by `;`.
    #[must_use]
    pub fn get_list(&self, group: &str, key: &str) -> Option<Vec<String>> {
        let raw = self.get_raw(group, key)?;
        let mut items = Vec::new();
        let mut item = String::new();
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(';') => item.push(';'),
                    Some(other) => item.extend(['\\', other]),
                    None => item.push('\\'),
                },
                ';' => items.push(unescape(&std::mem::take(&mut item))),
                c => item.push(c),
            }
        }
        if !item.is_empty() {
            items.push(unescape(&item));
        }
        Some(items)
    }

    /// Sets a value, in its place when the key exists, else at the end of its group.
    pub fn set(&mut self, group: &str, key: &str, value: &str) {
        self.set_raw(group, key, escape(value));
    }

    /// Sets a list separated by `;`.
    pub fn set_list<S: AsRef<str>>(&mut self, group: &str, key: &str, items: &[S]) {
        let raw: String =
            items.iter().map(|item| escape(item.as_ref()).replace(';', "\\;") + ";").collect();
        self.set_raw(group, key, raw);
    }

    fn set_raw(&mut self, group: &str, key: &str, raw: String) {
        let entry = Line::Entry { key: key.to_owned(), raw };
        let existing = self.entries(group).filter(|(_, have, _)| *have == key).last();
        if let Some(index) = existing.map(|(index, ..)| index) {
            self.lines[index] = entry;
            return;
        }
        if !self.has_group(group) {
            if matches!(self.lines.last(), Some(Line::Entry { .. } | Line::Group(_))) {
                self.lines.push(Line::Other(String::new()));
            }
            self.lines.push(Line::Group(group.to_owned()));
            self.lines.push(entry);
            return;
        }
        // After the group's last entry, or after its heading.
        let last = self.entries(group).map(|(index, ..)| index).last();
        let at = last.or_else(|| {
            self.lines.iter().rposition(|line| matches!(line, Line::Group(name) if name == group))
        });
        self.lines.insert(at.map_or(self.lines.len(), |at| at + 1), entry);
    }

    /// Removes a key. Says whether it was there.
    pub fn remove(&mut self, group: &str, key: &str) -> bool {
        let doomed: Vec<_> =
            self.entries(group).filter(|(_, have, _)| *have == key).map(|(i, ..)| i).collect();
        for index in doomed.iter().rev() {
            self.lines.remove(*index);
        }
        !doomed.is_empty()
    }

    /// Removes a group with all its lines. Says whether it was there.
    pub fn remove_group(&mut self, group: &str) -> bool {
        let before = self.lines.len();
        let mut inside = false;
        self.lines.retain(|line| {
            if let Line::Group(name) = line {
                inside = name == group;
            }
            !inside
        });
        before != self.lines.len()
    }

    /// (line, key, raw value) of a group.
    fn entries<'a, 'g>(
        &'a self,
        group: &'g str,
    ) -> impl Iterator<Item = (usize, &'a str, &'a str)> + use<'a, 'g> {
        let mut current = None;
        self.lines.iter().enumerate().filter_map(move |(index, line)| match line {
            Line::Group(name) => {
                current = Some(name.as_str());
                None
            }
            Line::Entry { key, raw } if current == Some(group) => {
                Some((index, key.as_str(), raw.as_str()))
            }
            _ => None,
        })
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Other(text) => writeln!(f, "{text}")?,
                Line::Group(name) => writeln!(f, "[{name}]")?,
                Line::Entry { key, raw } => writeln!(f, "{key}={raw}")?,
            }
        }
        Ok(())
    }
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => out.push(' '),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') | None => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
        }
    }
    out
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut leading = true;
    for c in value.chars() {
        match c {
            ' ' if leading => out.push_str("\\s"),
            '\t' if leading => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
        leading = leading && matches!(c, ' ' | '\t');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::KeyFile;
    use crate::Error;
    use proptest::prelude::*;

    const TEXT: &str = "# top\n[core]\nrepo_version=1\nmode = bare\n\n[remote \"a\"]\nurl=x\n";

    #[test]
    fn edits_keep_everything_else() {
        let mut file = KeyFile::parse(TEXT).unwrap();
        assert_eq!(file.get("core", "mode").as_deref(), Some("bare"));
        assert_eq!(file.groups(), ["core", "remote \"a\""]);
        file.set("core", "fsync", "false");
        file.set("new", "k", " v");
        assert_eq!(file.get_bool("core", "fsync").unwrap(), Some(false));
        assert_eq!(
            file.to_string(),
            "# top\n[core]\nrepo_version=1\nmode=bare\nfsync=false\n\n[remote \"a\"]\nurl=x\n\n\
             [new]\nk=\\sv\n"
        );
        assert!(file.remove_group("remote \"a\"") && !file.remove_group("remote \"a\""));
        assert!(file.remove("core", "fsync") && !file.remove("core", "fsync"));
        assert!(file.get_bool("new", "k").is_err());
    }

    #[test]
    fn broken_lines_are_named() {
        for (text, number) in [("[a]\nnonsense\n", 2), ("[a\n", 1), ("[a]\n=1\n", 2)] {
            let error = KeyFile::parse(text).unwrap_err();
            let named = text.lines().nth(number - 1).unwrap();
            assert!(error.to_string().contains(&format!("line “{named}”")), "{error}");
            assert!(matches!(error, Error::KeyFile { line, .. } if line == number), "{error}");
        }
        assert!(matches!(KeyFile::parse("x=1\n").unwrap_err(), Error::KeyFileStart));
    }

    proptest! {
        #[test]
        fn values_round_trip(value in "[ a-z;\\\\\t\né]{0,12}", items in
            proptest::collection::vec("[ a-z;\\\\]{1,6}", 0..4)) {
            let mut file = KeyFile::new();
            file.set("g", "k", &value);
            file.set_list("g", "l", &items);
            let again = KeyFile::parse(&file.to_string()).unwrap();
            prop_assert_eq!(again.get("g", "k").unwrap(), value);
            prop_assert_eq!(again.get_list("g", "l").unwrap(), items);
        }
    }
}
