//! Slowing down who guesses passwords and codes.
//!
//! Failures are counted by address, and by account and address together; each further one doubles
//! how long that pair has to wait. Nobody can lock somebody else out by that: attempts at an account
//! from elsewhere slow down only those from elsewhere. Against guessing from very many addresses an
//! account has a pause of its own, which is short and spares addresses from where its owner has
//! logged in. What is kept is in the database, where all servers count together, and bounded.

use std::net::IpAddr;

use jiff::Timestamp;

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::audit::acting;
use crate::storage::guesses::{self, Counted, Sort};

/// Failures before somebody has to wait: of one account from one address, of one address, and of
/// one account from anywhere.
const FREE_OF_PAIR: u32 = 5;
const FREE_OF_ADDRESS: u32 = 20;
const FREE_OF_USER: u32 = 100;
/// The longest wait of an address in seconds, and that of an account from anywhere.
const LONGEST: i64 = 900;
const LONGEST_OF_USER: i64 = 30;
/// Seconds after which failures are forgotten.
const MEMORY: i64 = 3600;
/// The most that is remembered of each sort.
const ENTRIES: u32 = 10_000;

impl Fleet {
    /// Refuses an attempt that comes too soon. One that is refused does not count.
    pub(super) fn may_guess(&self, user: Option<&str>, from: IpAddr, now: Timestamp) -> Result<()> {
        let until = self.database.read("look for guesses", |reader| {
            let wait = |sort, subject: &str, free, longest| {
                let found = guesses::get(reader, sort, subject)?;
                Ok::<_, Error>(found.map_or(0, |found| until(found, free, longest)))
            };
            let mut until = wait(Sort::Address, &from.to_string(), FREE_OF_ADDRESS, LONGEST)?;
            if let Some(user) = user {
                let pair = pair(user, from);
                until = until.max(wait(Sort::Pair, &pair, FREE_OF_PAIR, LONGEST)?);
                if guesses::get(reader, Sort::Known, &pair)?.is_none() {
                    until = until.max(wait(Sort::User, user, FREE_OF_USER, LONGEST_OF_USER)?);
                }
            }
            Ok(until)
        })?;
        match u64::try_from(until.saturating_sub(now.as_second())) {
            Ok(seconds) if seconds > 0 => Err(Error::TooOften { seconds }),
            _ => Ok(()),
        }
    }

    /// Counts an attempt that failed, and gives the reason of its failure back.
    pub(super) fn guessed(
        &self,
        user: Option<&str>,
        from: IpAddr,
        now: Timestamp,
        reason: Error,
    ) -> Error {
        let at = (now.as_second(), MEMORY);
        // That somebody was refused stands in the audit log already.
        let counted = acting(None, || {
            self.database.write("count a guess", |tx| {
                guesses::count(tx, Sort::Address, &from.to_string(), at)?;
                let Some(user) = user else { return Ok(()) };
                guesses::count(tx, Sort::Pair, &pair(user, from), at)?;
                guesses::count(tx, Sort::User, user, at)
            })
        });
        // Who cannot be counted is not let in either way, and is not told more for that.
        counted.err().unwrap_or(reason)
    }

    /// Forgets the failures of an account from this address. Those of the address stay: who has
    /// an account may not guess at others for that.
    pub(super) fn guessed_right(&self, user: &str, from: IpAddr, now: Timestamp) -> Result<()> {
        let pair = pair(user, from);
        acting(None, || {
            self.database.write("note from where somebody logged in", |tx| {
                guesses::forget(tx, Sort::Pair, &pair)?;
                guesses::count(tx, Sort::Known, &pair, (now.as_second(), MEMORY))
            })
        })
    }

    /// Forgets the older half of what there is too much of.
    pub fn prune_guesses(&self) -> Result<()> {
        for sort in Sort::ALL {
            let has_too_many = |reader: &_| guesses::has_too_many(reader, sort, ENTRIES);
            if self.database.read("count guesses", has_too_many)? {
                self.database.write("forget guesses", |tx| guesses::keep(tx, sort, ENTRIES))?;
            }
        }
        Ok(())
    }
}

/// An account and an address; names of accounts have no spaces.
fn pair(user: &str, from: IpAddr) -> String {
    format!("{user} {from}")
}

/// Until when nothing more is tried.
fn until(found: Counted, free: u32, longest: i64) -> i64 {
    let Some(over) = found.count.checked_sub(free) else { return 0 };
    let wait = 1_i64.checked_shl(over).filter(|wait| *wait > 0).unwrap_or(longest);
    found.last.saturating_add(wait.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let wait = |count, free, longest| {
            (until(Counted { count, last: 1000 }, free, longest) - 1000).max(0)
        };
        let waits: Vec<i64> = (1..=8).map(|count| wait(count, FREE_OF_PAIR, LONGEST)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8]);
        for count in [15, 40, 68, 69, 70, u32::MAX] {
            assert_eq!(wait(count, FREE_OF_PAIR, LONGEST), LONGEST, "{count}");
        }
        assert_eq!(wait(20_000, FREE_OF_USER, LONGEST_OF_USER), LONGEST_OF_USER);
        assert_eq!(wait(99, FREE_OF_USER, LONGEST_OF_USER), 0);
    }
}
