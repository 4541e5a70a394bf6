//! [`Steps`]: which changes of logical partitions a package has begun to make.
//!
//! ```text
//! updraft-dynamic-partitions 1
//! SHA-256 of the package
//! SHA-256 of a list of changes, of the table before, of the table after
//! …
//! ```
//! Each line is there before its table is written. A list was done when the table that is there is that
//! of its line, or of one after it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, atomic_write};

use crate::Result;

const HEAD: &str = "updraft-dynamic-partitions 1";
const NAME: &str = "dynamic_partitions";
/// The longest file that is read, in bytes.
const MAX: u64 = 64 << 10;
/// The most lists of a package.
pub(crate) const MAX_STEPS: usize = 200;

/// A list of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) changes: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    package: String,
    pub(crate) steps: Vec<Step>,
}

impl Steps {
    /// The name by which a list of changes is known.
    pub(crate) fn name_of(changes: &[u8]) -> String {
        hex::encode(Sha256::digest(changes))
    }

    /// What this package has begun. Nothing, when what is kept is of another one, or not whole.
    pub(crate) fn read(state: &Dir, package: String) -> Result<Self> {
        let bytes = state.try_read(NAME, MAX)?.unwrap_or_default();
        let kept = String::from_utf8(bytes).ok().and_then(|text| Self::parse(&text));
        let kept = kept.filter(|kept| kept.package == package);
        Ok(kept.unwrap_or(Self { package, steps: Vec::new() }))
    }

    /// Durable when it returns.
    pub(crate) fn write(&self, state: &Dir) -> Result<()> {
        let mut text = format!("{HEAD}\n{}\n", self.package);
        for Step { changes, before, after } in &self.steps {
            let _ = writeln!(text, "{changes} {before} {after}");
        }
        Ok(atomic_write(state, NAME, text.as_bytes(), 0o600)?)
    }

    pub(crate) fn remove(state: &Dir) -> Result<()> {
        state.try_unlink(NAME)?;
        Ok(())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(HEAD)?.strip_prefix('\n')?.lines();
        let package = lines.next()?.to_owned();
        let mut steps = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let [changes, before, after] = words[..] else { return None };
            let [changes, before, after] = [changes, before, after].map(str::to_owned);
            steps.push(Step { changes, before, after });
        }
        Some(Self { package, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Steps};

    #[test]
    fn what_is_kept_reads_back_for_its_package_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = updraft_fs::Dir::open(folder.path()).unwrap();
        let mut steps = Steps::read(&state, "one".to_owned()).unwrap();
        assert!(steps.steps.is_empty());
        let [changes, before, after] = ["c", "b", "a"].map(str::to_owned);
        steps.steps.push(Step { changes, before, after });
        steps.write(&state).unwrap();
        assert_eq!(Steps::read(&state, "one".to_owned()).unwrap(), steps);
        assert!(Steps::read(&state, "two".to_owned()).unwrap().steps.is_empty());
        for damaged in
            ["", "updraft-dynamic-partitions 2\none\n", "updraft-dynamic-partitions 1\none\na b\n"]
        {
            assert!(Steps::parse(damaged).is_none_or(|kept| kept.steps.is_empty()), "{damaged}");
        }
        Steps::remove(&state).unwrap();
        assert!(state.entries().unwrap().is_empty());
    }
}
