//! [`Hashed`]: a list that was given hashes, kept from before the first write on.
//!
//! ```text
//! updraft-hashed-list 1
//! SHA-256 of the package, SHA-256 of the list in it, how many lines follow
//! RANGES SHA1              what range_sha1 said of the partition before the update
//! 3 …                      the list with hashes
//! ```
//! The scripts of such packages look at a partition as a whole before they begin, and would give up in
//! the middle of it: until the update was gone on with, they get the answers of then.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, atomic_write};
use updraft_payload::transfer_list::MAX_TRANSFER_LIST;

use super::stash::folder_name;
use crate::Result;

const HEAD: &str = "updraft-hashed-list 1";
const SUFFIX: &str = ".hashed";
/// The most answers of one partition.
const MAX_ANSWERS: usize = 1000;

/// What `range_sha1` said, by ranges as the script has them.
pub(crate) type Answers = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) package: String,
    pub(crate) list: String,
    pub(crate) answers: Answers,
    pub(crate) text: String,
}

impl Hashed {
    /// The name by which a list is known.
    pub(crate) fn name_of(list: &[u8]) -> String {
        hex::encode(Sha256::digest(list))
    }

    /// What is kept for a device. `None`: nothing, or nothing whole.
    pub(crate) fn read(state: &Dir, device: &str) -> Result<Option<Self>> {
        let bytes = state.try_read(file_name(device), 2 * MAX_TRANSFER_LIST)?;
        Ok(bytes.and_then(|bytes| Self::parse(&String::from_utf8(bytes).ok()?)))
    }

    /// Durable when it returns.
    pub(crate) fn write(&self, state: &Dir, device: &str) -> Result<()> {
        let Self { package, list, answers, text } = self;
        let answers = answers.get(..MAX_ANSWERS).unwrap_or(answers);
        let mut whole = format!("{HEAD}\n{package} {list} {}\n", answers.len());
        for (ranges, hash) in answers {
            let _ = writeln!(whole, "{ranges} {hash}");
        }
        whole += text;
        Ok(atomic_write(state, file_name(device), whole.as_bytes(), 0o600)?)
    }

    /// Removes those of all partitions.
    pub(crate) fn remove_all(state: &Dir) -> Result<()> {
        for entry in state.entries()? {
            if entry.name.to_string_lossy().ends_with(SUFFIX) {
                state.try_unlink(&entry.name)?;
            }
        }
        Ok(())
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(HEAD)?.strip_prefix('\n')?;
        let (names, mut rest) = text.split_once('\n')?;
        let [package, list, count] = names.split(' ').collect::<Vec<_>>()[..] else { return None };
        let mut answers = Vec::new();
        let count = count.parse().ok().filter(|count| *count <= MAX_ANSWERS)?;
        for _ in 0..count {
            let (line, after) = rest.split_once('\n')?;
            let (ranges, hash) = line.split_once(' ')?;
            answers.push((ranges.to_owned(), hash.to_owned()));
            rest = after;
        }
        let (package, list, text) = (package.to_owned(), list.to_owned(), rest.to_owned());
        Some(Self { package, list, answers, text })
    }
}

fn file_name(device: &str) -> String {
    format!("{}{SUFFIX}", folder_name(device))
}

#[cfg(test)]
mod tests {
    use super::Hashed;

    #[test]
    fn what_is_kept_reads_back_and_what_is_damaged_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state = updraft_fs::Dir::open(folder.path()).unwrap();
        let kept = Hashed {
            package: "p".to_owned(),
            list: Hashed::name_of(b"2\n0\n"),
            answers: vec![("2,0,1".to_owned(), "h".to_owned())],
            text: "3\n1\n0\n0\nzero 2,0,1\n".to_owned(),
        };
        kept.write(&state, "/dev/a").unwrap();
        assert_eq!(Hashed::read(&state, "/dev/a").unwrap(), Some(kept.clone()));
        assert_eq!(Hashed::read(&state, "/dev/b").unwrap(), None);
        for damaged in ["", "updraft-hashed-list 2\n", "updraft-hashed-list 1\na b 2\n2,0,1 h\n"] {
            assert_eq!(Hashed::parse(damaged), None);
        }
        Hashed::remove_all(&state).unwrap();
        assert!(state.entries().unwrap().is_empty());
    }
}
