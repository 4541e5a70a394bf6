//! [`BootCount`]: tries that are counted in the names of boot loader entries.
//!
//! `NAME+LEFT.conf` or `NAME+LEFT-DONE.conf` (Boot Loader Specification, section "Boot counting").
//! The boot loader renames an entry each time it tries it; whoever finds the system well takes the
//! counter off. An entry of which no tries are left is bad and is offered last.

use std::fmt;
use std::str::FromStr;

use crate::Error;

const SUFFIXES: [&str; 2] = [".conf", ".efi"];

/// The name of a boot loader entry's file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedName {
    /// What is before the counter.
    pub stem: String,
    /// The counter, if there is one.
    pub count: Option<BootCount>,
    /// `.conf`, or `.efi` for a unified kernel image.
    suffix: &'static str,
    /// `-DONE` was written, as it is from the first try on.
    tells_done: bool,
}

/// How often an entry may still be tried, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootCount {
    /// Tries that are left.
    pub left: u32,
    /// Tries that were made.
    pub done: u32,
}

/// What a counter says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootVerdict {
    /// No counter: it was found well, or is not counted.
    Good,
    /// Tries are left.
    Undecided,
    /// No tries are left.
    Bad,
}

impl BootVerdict {
    /// What a counter says, or that there is none.
    #[must_use]
    pub const fn of(count: Option<BootCount>) -> Self {
        match count {
            None => Self::Good,
            Some(BootCount { left: 0, .. }) => Self::Bad,
            Some(_) => Self::Undecided,
        }
    }
}

impl CountedName {
    /// The name of an entry that may be tried so often.
    #[must_use]
    pub fn new(stem: impl Into<String>, tries: u32) -> Self {
        let count = Some(BootCount { left: tries, done: 0 });
        Self { stem: stem.into(), count, suffix: SUFFIXES[0], tells_done: false }
    }

    /// The name of an entry with this counter, or with none.
    #[must_use]
    pub fn with_count(stem: impl Into<String>, count: Option<BootCount>) -> Self {
        Self { stem: stem.into(), count: None, suffix: SUFFIXES[0], tells_done: false }
            .counted(count)
    }

    /// The same with this counter, or with none.
    #[must_use]
    pub fn counted(self, count: Option<BootCount>) -> Self {
        Self { count, tells_done: count.is_some_and(|count| count.done > 0), ..self }
    }

    /// The same for a unified kernel image.
    #[must_use]
    pub fn of_image(self) -> Self {
        Self { suffix: SUFFIXES[1], ..self }
    }

    /// What the counter says.
    #[must_use]
    pub const fn verdict(&self) -> BootVerdict {
        BootVerdict::of(self.count)
    }

    /// The name after one more try, as a boot loader renames it. The same when nothing is counted
    /// or no tries are left.
    #[must_use]
    pub fn tried(&self) -> Self {
        let count = self.count.map(|BootCount { left, done }| match left.checked_sub(1) {
            Some(left) => BootCount { left, done: done.saturating_add(1) },
            None => BootCount { left, done },
        });
        Self { count, tells_done: true, ..self.clone() }
    }

    /// The name of the entry once its system was found well.
    #[must_use]
    pub fn blessed(&self) -> Self {
        Self { count: None, ..self.clone() }
    }

    /// The name of the entry once its system was found bad.
    #[must_use]
    pub fn condemned(&self) -> Self {
        let done = self.count.map_or(0, |count| count.done);
        Self { count: Some(BootCount { left: 0, done }), tells_done: done > 0, ..self.clone() }
    }
}

impl fmt::Display for CountedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if let Some(BootCount { left, done }) = self.count {
            write!(f, "+{left}")?;
            if self.tells_done {
                write!(f, "-{done}")?;
            }
        }
        f.write_str(self.suffix)
    }
}

impl FromStr for CountedName {
    type Err = Error;

    /// What looks like a counter and is none, such as `+x`, belongs to the name, as for systemd-boot.
    fn from_str(name: &str) -> Result<Self, Error> {
        let split = SUFFIXES.iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)));
        let (whole, suffix) =
            split.filter(|(stem, _)| !stem.is_empty()).ok_or(Error::Environment {
                what: "boot loader entry's name",
                reason: "it is not NAME.conf",
            })?;
        let counted = whole.rsplit_once('+').and_then(|(stem, counter)| {
            let (left, done) = match counter.split_once('-') {
                Some((left, done)) => (number(left)?, Some(number(done)?)),
                None => (number(counter)?, None),
            };
            let count = BootCount { left, done: done.unwrap_or(0) };
            (!stem.is_empty()).then_some((stem, count, done.is_some()))
        });
        Ok(match counted {
            Some((stem, count, tells_done)) => {
                Self { stem: stem.to_owned(), count: Some(count), suffix, tells_done }
            }
            None => Self { stem: whole.to_owned(), count: None, suffix, tells_done: false },
        })
    }
}

/// Decimal digits alone.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BootCount, BootVerdict, CountedName};

    fn name(text: &str) -> CountedName {
        text.parse().unwrap()
    }

    #[test]
    fn an_entry_is_tried_until_it_is_bad() {
        let mut entry = CountedName::new("ostree-1-os", 2);
        let mut names = vec![entry.to_string()];
        while entry.verdict() == BootVerdict::Undecided {
            entry = entry.tried();
            names.push(entry.to_string());
        }
        assert_eq!(names, ["ostree-1-os+2.conf", "ostree-1-os+1-1.conf", "ostree-1-os+0-2.conf"]);
        assert_eq!(entry.verdict(), BootVerdict::Bad);
        assert_eq!(entry.tried(), entry);
    }

    #[test]
    fn the_verdict_takes_the_counter_off_or_ends_it() {
        let entry = name("a+2-1.conf");
        assert_eq!(entry.blessed().to_string(), "a.conf");
        assert_eq!(entry.blessed().verdict(), BootVerdict::Good);
        assert_eq!(entry.condemned().to_string(), "a+0-1.conf");
        assert_eq!(name("a.efi").condemned().to_string(), "a+0.efi");
    }

    #[test]
    fn only_counters_are_counters() {
        let count = |text: &str| name(text).count.map(|BootCount { left, done }| (left, done));
        assert_eq!(count("a+3.conf"), Some((3, 0)));
        assert_eq!(count("a+3-0.conf"), Some((3, 0)));
        assert_eq!(count("a+1+2-7.efi"), Some((2, 7)));
        for text in [
            "a.conf",
            "a+.conf",
            "a+x.conf",
            "a+1-.conf",
            "a+-1.conf",
            "a+ 1.conf",
            "+3.conf",
            "a+99999999999.conf",
        ] {
            assert_eq!(count(text), None, "{text}");
            assert_eq!(name(text).to_string(), text);
        }
        for text in ["", ".conf", "a", "a.conf~"] {
            assert!(text.parse::<CountedName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(text in "[a-z0-9+.-]{1,12}") {
            let file = format!("{text}.conf");
            let read = name(&file);
            // Zeros before a number mean nothing.
            prop_assert_eq!(&name(&read.to_string()), &read);
            if read.count.is_none() {
                prop_assert_eq!(read.to_string(), file);
            }
        }
    }
}
