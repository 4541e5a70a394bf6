//! Slowing down who guesses passwords and codes.
//!
//! Failures are counted by address, and by account and address together; each further one doubles
//! how long that pair has to wait. Nobody can lock somebody else out by that: attempts at an account
//! from elsewhere slow down only those from elsewhere. Against guessing from very many addresses an
//! account has a pause of its own, which is short and spares addresses from where its owner has
//! logged in. What is kept is in memory and bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::error::{Error, Result};

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
const ENTRIES: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Guessing(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    pairs: HashMap<(String, IpAddr), Failures>,
    addresses: HashMap<IpAddr, Failures>,
    users: HashMap<String, Failures>,
    /// From where accounts were logged in to, and when last.
    known: HashMap<(String, IpAddr), i64>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: i64,
}

impl Failures {
    /// Until when nothing more is tried.
    fn until(self, free: u32, longest: i64) -> i64 {
        let Some(over) = self.count.checked_sub(free) else { return 0 };
        let wait = 1_i64.checked_shl(over).filter(|wait| *wait > 0).unwrap_or(longest);
        self.last.saturating_add(wait.min(longest))
    }
}

impl Guessing {
    /// Refuses an attempt that comes too soon. One that is refused does not count.
    pub(super) fn check(&self, user: Option<&str>, from: IpAddr, now: Timestamp) -> Result<()> {
        let now = now.as_second();
        self.with(|tables| {
            let address = tables.addresses.get(&from);
            let mut until = address.map_or(0, |found| found.until(FREE_OF_ADDRESS, LONGEST));
            if let Some(user) = user {
                let pair = (user.to_owned(), from);
                let found = tables.pairs.get(&pair);
                until = until.max(found.map_or(0, |found| found.until(FREE_OF_PAIR, LONGEST)));
                if !tables.known.contains_key(&pair) {
                    let found = tables.users.get(user);
                    let pause = found.map_or(0, |found| found.until(FREE_OF_USER, LONGEST_OF_USER));
                    until = until.max(pause);
                }
            }
            match u64::try_from(until.saturating_sub(now)) {
                Ok(seconds) if seconds > 0 => Err(Error::TooOften { seconds }),
                _ => Ok(()),
            }
        })
    }

    /// Counts an attempt that failed.
    pub(super) fn failed(&self, user: Option<&str>, from: IpAddr, now: Timestamp) {
        let now = now.as_second();
        self.with(|tables| {
            count(&mut tables.addresses, from, now);
            if let Some(user) = user {
                count(&mut tables.pairs, (user.to_owned(), from), now);
                count(&mut tables.users, user.to_owned(), now);
            }
        });
    }

    /// Forgets the failures of an account from this address. Those of the address stay: who has
    /// an account may not guess at others for that.
    pub(super) fn succeeded(&self, user: &str, from: IpAddr, now: Timestamp) {
        self.with(|tables| {
            let pair = (user.to_owned(), from);
            tables.pairs.remove(&pair);
            make_room(&mut tables.known, |at| *at);
            tables.known.insert(pair, now.as_second());
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn count<K: Hash + Eq + Clone>(table: &mut HashMap<K, Failures>, key: K, now: i64) {
    if !table.contains_key(&key) {
        make_room(table, |failures| failures.last);
    }
    let entry = table.entry(key).or_insert(Failures { count: 0, last: now });
    if now.saturating_sub(entry.last) > MEMORY {
        entry.count = 0;
    }
    entry.count = entry.count.saturating_add(1);
    entry.last = now;
}

/// Forgets the older half when there is no room for one more.
fn make_room<K: Hash + Eq + Clone, V>(table: &mut HashMap<K, V>, age: impl Fn(&V) -> i64) {
    if table.len() < ENTRIES {
        return;
    }
    let mut ages: Vec<i64> = table.values().map(&age).collect();
    ages.sort_unstable();
    let middle = ages.get(ages.len() / 2).copied().unwrap_or(i64::MAX);
    table.retain(|_, value| age(value) > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn address(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    fn wait(guessing: &Guessing, from: IpAddr, now: i64) -> u64 {
        match guessing.check(Some("anna"), from, at(now)) {
            Ok(()) => 0,
            Err(Error::TooOften { seconds }) => seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let guessing = Guessing::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            guessing.failed(Some("anna"), address(1), at(1000));
            waits.push(wait(&guessing, address(1), 1000));
        }
        assert_eq!(waits[..8], [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits[39], 900);
        assert_eq!(wait(&guessing, address(1), 1900), 0);
        // Long afterwards, all is as at first.
        guessing.failed(Some("anna"), address(1), at(9000));
        assert_eq!(wait(&guessing, address(1), 9000), 0);
    }

    #[test]
    fn guessing_from_everywhere_does_not_lock_the_owner_out() {
        let guessing = Guessing::default();
        let home = address(60_000);
        guessing.succeeded("anna", home, at(0));
        for n in 0..20_000 {
            guessing.failed(Some("anna"), address(n), at(1000));
        }
        assert_eq!(wait(&guessing, home, 1000), 0, "from where the owner was before");
        assert!((1..=30).contains(&wait(&guessing, address(59_999), 1000)), "a short pause");
        assert_eq!(wait(&guessing, address(59_999), 1031), 0);
    }

    #[test]
    fn who_guesses_at_many_accounts_waits_too() {
        let guessing = Guessing::default();
        for n in 0..21 {
            guessing.failed(Some(&format!("user-{n}")), address(1), at(1000));
        }
        assert!(wait(&guessing, address(1), 1000) > 0);
        assert!(guessing.check(None, address(1), at(1000)).is_err());
        // An account of one's own does not help.
        guessing.succeeded("own", address(1), at(1000));
        assert!(wait(&guessing, address(1), 1000) > 0);
    }
}
