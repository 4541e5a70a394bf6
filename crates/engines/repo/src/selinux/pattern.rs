//! One line of a `file_contexts` file.

use std::sync::OnceLock;

use regex::Regex;
use updraft_error::Kind;
use updraft_ostree::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

use crate::{Error, Result};

/// What makes a pattern more than a path.
const SPECIAL: &[char] = &['.', '^', '$', '?', '*', '+', '|', '[', '(', '{', '\\'];
/// What binds to the character before it, which is then not literal.
const REPEATS: &[char] = &['?', '*', '+', '{', '|'];
/// The largest compiled pattern, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
const NONE: &str = "<<none>>";

/// Which files get which label.
#[derive(Debug)]
pub(super) struct Spec {
    pattern: String,
    /// What every match begins with.
    stem: String,
    is_plain: bool,
    /// Compiled when it is first needed: a policy has thousands, a path needs few.
    compiled: OnceLock<Option<Regex>>,
    /// The type bits of a mode; `None` means any.
    kind: Option<u32>,
    pub(super) context: Option<String>,
}

impl Spec {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (pattern, kind, context) = match words[..] {
            [pattern, context] => (pattern, None, context),
            [pattern, kind, context] => (pattern, Some(type_bits(kind)?), context),
            _ => return None,
        };
        let is_plain = !pattern.contains(SPECIAL);
        let spec = Self {
            pattern: pattern.to_owned(),
            stem: if is_plain { pattern.to_owned() } else { stem(pattern).to_owned() },
            is_plain,
            compiled: OnceLock::new(),
            kind,
            context: (context != NONE).then(|| context.to_owned()),
        };
        // A pattern that cannot be read is said now, not when a path happens to need it. Only its
        // syntax is looked at: compiling all would take longer than labelling does.
        let is_sound = is_plain || regex_syntax::Parser::new().parse(pattern).is_ok();
        is_sound.then_some(spec)
    }

    /// Whether it is about this file.
    pub(super) fn matches(&self, path: &str, mode: u32) -> bool {
        if self.kind.is_some_and(|kind| kind != mode & S_IFMT) || !path.starts_with(&self.stem) {
            return false;
        }
        if self.is_plain {
            return path == self.pattern;
        }
        let compile = || {
            let anchored = format!("^(?:{})$", self.pattern);
            regex::RegexBuilder::new(&anchored).size_limit(SIZE_LIMIT).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref().is_some_and(|regex| regex.is_match(path))
    }
}

/// The characters before the first special one.
fn stem(pattern: &str) -> &str {
    if pattern.contains('|') && !pattern.contains('(') {
        return "";
    }
    let end = pattern.find(SPECIAL).unwrap_or(pattern.len());
    let is_repeated = pattern[end..].starts_with(REPEATS);
    let mut stem = &pattern[..end];
    if is_repeated {
        let mut characters = stem.chars();
        characters.next_back();
        stem = characters.as_str();
    }
    stem
}

fn type_bits(word: &str) -> Option<u32> {
    match word {
        "--" => Some(S_IFREG),
        "-d" => Some(S_IFDIR),
        "-l" => Some(S_IFLNK),
        "-b" => Some(0o060_000),
        "-c" => Some(0o020_000),
        "-p" => Some(0o010_000),
        "-s" => Some(0o140_000),
        _ => None,
    }
}

/// Reads files of contexts, each with its name: patterns in their order, plain paths after them.
pub(super) fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Spec>> {
    let mut specs = Vec::new();
    for (name, text) in files {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            specs.push(Spec::parse(line).ok_or_else(|| {
                let number = number + 1;
                let message = format!("read the SELinux policy: {name}:{number}: `{line}`");
                Error::other(Kind::Invalid, message)
            })?);
        }
    }
    specs.sort_by_key(|spec| spec.is_plain);
    Ok(specs)
}
