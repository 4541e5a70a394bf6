//! What was lately read, for as long as nothing was written since.
//!
//! A poll of Uptane asks for three files that are read together, and whether there is a newer root.
//! A commit of another process is not noticed. None changes what is kept here: `updraft-server key` signs
//! a root while the server is stopped, and several servers share no file (`Database::commits`).

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// What was read in one state of the database, which is told by a number that only grows.
#[derive(Debug)]
pub(super) struct Lately<K, V> {
    known: Mutex<Known<K, V>>,
    /// How much is kept: callers may ask for anything.
    most: usize,
}

#[derive(Debug)]
struct Known<K, V> {
    state: u64,
    values: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Lately<K, V> {
    /// Keeps up to so many values.
    pub(super) fn new(most: usize) -> Self {
        Self { known: Mutex::new(Known { state: 0, values: HashMap::new() }), most }
    }

    /// Looks at a value that was read in this state; `None` when it has to be read.
    pub(super) fn get<Q, T>(&self, state: u64, key: &Q, look: impl FnOnce(&V) -> T) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.with(|known| {
            let values = (known.state == state).then_some(&known.values)?;
            values.get(key).map(look)
        })
    }

    /// Keeps what was read in a state, or later.
    pub(super) fn put(&self, state: u64, key: K, value: V) {
        self.with(|known| {
            // Who read before others wrote comes too late.
            if state < known.state {
                return;
            }
            if state > known.state || known.values.len() >= self.most {
                known.values.clear();
                known.state = state;
            }
            known.values.insert(key, value);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known<K, V>) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::Lately;

    #[test]
    fn a_value_counts_in_the_state_in_which_it_was_read() {
        let lately = Lately::<String, u32>::new(16);
        let get = |state, key: &str| lately.get(state, key, |value| *value);
        assert_eq!(get(0, "a"), None);
        lately.put(3, "a".to_owned(), 1);
        lately.put(3, "b".to_owned(), 2);
        assert_eq!((get(3, "a"), get(3, "b")), (Some(1), Some(2)));
        assert_eq!(get(4, "a"), None, "somebody wrote");
        lately.put(4, "a".to_owned(), 5);
        lately.put(3, "b".to_owned(), 2);
        assert_eq!((get(4, "a"), get(4, "b")), (Some(5), None), "the other was read before");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let lately = Lately::new(16);
        for key in 0..1000 {
            lately.put(1, key, ());
        }
        assert!(lately.with(|known| known.values.len()) <= 16);
        assert_eq!(lately.get(1, &999, |()| ()), Some(()));
    }
}
