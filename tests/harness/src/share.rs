//! A part of a test that takes too long as a whole.

use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// Which of so many equal shares: `2/8` is the second of eight. Each begins elsewhere and takes every
/// eighth, so that all parts of the whole are in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 0 on.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The one that the environment's `UPDRAFT_SHARE` names; all of it when there is none.
    ///
    /// # Errors
    /// When it names none.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("UPDRAFT_SHARE") {
            Ok(text) => text.parse().context("read UPDRAFT_SHARE"),
            Err(_) => Ok(Self::WHOLE),
        }
    }

    /// What of this many things is in it.
    pub fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let (index, count) = (self.index as usize, self.count as usize);
        all.into_iter().skip(index).step_by(count).collect()
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let says = || format!("`{text}` is no share; say which of how many, such as 1/8");
        let (number, count) = text.split_once('/').with_context(says)?;
        let number: u32 = number.parse().with_context(says)?;
        let count: u32 = count.parse().with_context(says)?;
        ensure!((1..=count).contains(&number), says());
        Ok(Self { index: number - 1, count })
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_the_whole() {
        let mut all = Vec::new();
        for number in 1..=3 {
            let share: Share = format!("{number}/3").parse().unwrap();
            assert_eq!(share.to_string(), format!("{number}/3"));
            all.extend(share.of((0..10).collect()));
        }
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/4"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
