//! Kernel command lines as an ordered list of arguments.
//!
//! Arguments keep their position. A blank inside double quotes does not end an argument, as in
//! the kernel's own parser. A key without `=` is different from a key with an empty value.

use std::fmt;

use crate::Error;

/// The kernel's arguments in order.
#[derive(Debug, Clone, Default)]
pub struct KernelArgs {
    args: Vec<Arg>,
    /// Before which of them one was set aside. It says nothing about what the kernel is told.
    gap: Option<usize>,
}

impl PartialEq for KernelArgs {
    fn eq(&self, other: &Self) -> bool {
        self.args == other.args
    }
}

impl Eq for KernelArgs {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Arg {
    key: String,
    value: Option<String>,
}

impl Arg {
    fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((key, value)) => Self { key: key.to_owned(), value: Some(value.to_owned()) },
            None => Self { key: text.to_owned(), value: None },
        }
    }
}

impl KernelArgs {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a command line, such as `/proc/cmdline` or an entry's `options`. Every text is one.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut quoted = false;
        let args = line
            .split(|c: char| {
                if c == '"' {
                    quoted = !quoted;
                }
                c.is_ascii_whitespace() && !quoted
            })
            .filter(|word| !word.is_empty())
            .map(Arg::parse)
            .collect();
        Self { args, gap: None }
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// The value of the last argument with this key, which is the one that the kernel obeys.
    /// `None` when the key is absent or has no `=`.
    #[must_use]
    pub fn last_value(&self, key: &str) -> Option<&str> {
        self.args.iter().rev().find(|arg| arg.key == key)?.value.as_deref()
    }

    /// Whether there is an argument with this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.args.iter().any(|arg| arg.key == key)
    }

    /// Adds `key` or `key=value` at the end, whatever there is already.
    pub fn append(&mut self, arg: &str) {
        self.args.push(Arg::parse(arg));
    }

    /// Adds `key` or `key=value` at the end, unless it is there just so.
    pub fn append_if_missing(&mut self, arg: &str) {
        let new = Arg::parse(arg);
        if !self.args.contains(&new) {
            self.args.push(new);
        }
    }

    /// Gives the key of `key` or `key=value` this one value: the first argument with the key
    /// takes it in its place, others with the key go. Appends when there is none.
    pub fn replace(&mut self, arg: &str) {
        let new = Arg::parse(arg);
        let Some(first) = self.args.iter().position(|old| old.key == new.key) else {
            self.args.push(new);
            return;
        };
        let key = new.key.clone();
        self.args[first] = new;
        self.remove_where(|index, old| index > first && old.key == key);
    }

    /// Removes the argument `key=value`, or the only one with this `key`.
    ///
    /// Fails with [`Error::NoSuchArgument`], or [`Error::Ambiguous`] when only a key is given
    /// and it has several values.
    pub fn delete(&mut self, arg: &str) -> Result<(), Error> {
        let wanted = Arg::parse(arg);
        let no_such = || Error::NoSuchArgument { argument: arg.to_owned() };
        if wanted.value.is_none() {
            let count = self.args.iter().filter(|old| old.key == wanted.key).count();
            let bare = self.args.iter().filter(|old| **old == wanted).count();
            if count > 1 && bare == 0 {
                return Err(Error::Ambiguous { key: wanted.key });
            }
            if bare == 0 {
                let index =
                    self.args.iter().position(|old| old.key == wanted.key).ok_or_else(no_such)?;
                self.remove_where(|at, _| at == index);
                return Ok(());
            }
        }
        let index = self.args.iter().position(|old| *old == wanted).ok_or_else(no_such)?;
        self.remove_where(|at, _| at == index);
        Ok(())
    }

    /// Removes all arguments with this key.
    pub fn remove_key(&mut self, key: &str) {
        self.remove_where(|_, arg| arg.key == key);
    }

    /// Removes all arguments with this key; [`put_back`](Self::put_back) knows where the first was.
    pub fn set_aside(&mut self, key: &str) {
        let first = self.args.iter().position(|arg| arg.key == key);
        self.remove_key(key);
        self.gap = first;
    }

    /// As [`replace`](Self::replace); when there is none with the key, where one was set aside.
    pub fn put_back(&mut self, arg: &str) {
        let new = Arg::parse(arg);
        match self.gap.take().filter(|gap| *gap <= self.args.len()) {
            Some(gap) if !self.contains(&new.key) => self.args.insert(gap, new),
            _ => self.replace(arg),
        }
    }

    fn remove_where(&mut self, doomed: impl Fn(usize, &Arg) -> bool) {
        let mut index = 0;
        let gap = self.gap;
        self.args.retain(|arg| {
            let keep = !doomed(index, arg);
            if !keep && gap.is_some_and(|gap| index < gap) {
                self.gap = self.gap.and_then(|gap| gap.checked_sub(1));
            }
            index += 1;
            keep
        });
    }
}

impl fmt::Display for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&arg.key)?;
            if let Some(value) = &arg.value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(line: &str, edit: impl FnOnce(&mut KernelArgs)) -> String {
        let mut args = KernelArgs::parse(line);
        edit(&mut args);
        args.to_string()
    }

    // The expectations of the next three tests are what libostree 2022.7 wrote.

    #[test]
    fn append_keeps_duplicates_at_the_end() {
        let args = edited("root=LABEL=x quiet", |args| {
            for arg in ["a=1", "b=2", "a=3", "flag"] {
                args.append(arg);
            }
        });
        assert_eq!(args, "root=LABEL=x quiet a=1 b=2 a=3 flag");
    }

    #[test]
    fn what_is_there_is_not_appended_again() {
        let args = edited("quiet a=1", |args| {
            for arg in ["quiet", "a=1", "a=2", "a"] {
                args.append_if_missing(arg);
            }
        });
        assert_eq!(args, "quiet a=1 a=2 a");
    }

    #[test]
    fn replace_takes_the_first_place_and_drops_the_rest() {
        assert_eq!(edited("a=1 b=2 a=3 flag", |args| args.replace("a=9")), "a=9 b=2 flag");
        assert_eq!(
            edited("quiet a=9 b=2 flag b=7", |args| args.replace("b=9")),
            "quiet a=9 b=9 flag"
        );
        assert_eq!(edited("root=x quiet", |args| args.replace("quiet=3")), "root=x quiet=3");
        assert_eq!(edited("x", |args| args.replace("k=")), "x k=");
    }

    #[test]
    fn delete_finds_a_key_or_one_value() {
        assert_eq!(edited("a=1 b=2 a=3", |args| args.delete("a=3").unwrap()), "a=1 b=2");
        assert_eq!(edited("a=1 b=2", |args| args.delete("b").unwrap()), "a=1");
        let mut args = KernelArgs::parse("a=1 a=2");
        assert!(matches!(args.delete("zz"), Err(Error::NoSuchArgument { .. })));
        assert!(matches!(args.delete("a"), Err(Error::Ambiguous { .. })));
        assert!(matches!(args.delete("a=3"), Err(Error::NoSuchArgument { .. })));
    }

    #[test]
    fn what_was_set_aside_comes_back_to_its_place() {
        for (edit, expected) in [
            ((|_| ()) as fn(&mut KernelArgs), "a=1 ostree=/new b c"),
            (|args| args.append("d"), "a=1 ostree=/new b c d"),
            (|args| args.delete("a").unwrap(), "ostree=/new b c"),
            (|args| args.remove_key("b"), "a=1 ostree=/new c"),
            (|args| args.append("ostree=/own"), "a=1 b c ostree=/new"),
            (|args| *args = KernelArgs::parse("x"), "x ostree=/new"),
        ] {
            let mut args = KernelArgs::parse("a=1 ostree=/old b c");
            args.set_aside("ostree");
            assert_eq!(args, KernelArgs::parse("a=1 b c"));
            edit(&mut args);
            args.put_back("ostree=/new");
            assert_eq!(args.to_string(), expected);
        }
    }

    #[test]
    fn quotes_hold_blanks_together() {
        let args = KernelArgs::parse("  a=\"x y\"  b\tc=1\n");
        assert_eq!(args.last_value("a"), Some("\"x y\""));
        assert_eq!(args.to_string(), "a=\"x y\" b c=1");
    }

    #[test]
    fn the_kernel_obeys_the_last_value() {
        let args = KernelArgs::parse("ostree=/old ostree=/new flag");
        assert_eq!(args.last_value("ostree"), Some("/new"));
        assert_eq!(args.last_value("flag"), None);
        assert!(args.contains("flag") && !args.contains("none"));
    }
}
