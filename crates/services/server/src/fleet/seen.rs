//! What changes with every poll and is therefore kept in memory: when a device was last seen,
//! and the counters of its reports. [`Fleet::flush`] writes it in one transaction, every few
//! seconds and when the server ends.
//!
//! After a crash the counters may be a few seconds old; a report that repeats one of those
//! seconds changes nothing, because reports that change something are stored at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::Fleet;
use crate::error::Result;
use crate::storage::devices;

/// What is not written yet, by device.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Entry>>);

#[derive(Debug, Clone)]
struct Entry {
    at: Timestamp,
    counters: HashMap<String, u64>,
}

impl Seen {
    /// The highest counter of a component's reports that is not written yet.
    pub(super) fn counter(&self, device: &str, serial: &str) -> Option<u64> {
        self.with(|entries| entries.get(device)?.counters.get(serial).copied())
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Entry>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Fleet {
    /// Notes that a device asked for something.
    pub fn note_seen(&self, device: &str) {
        let at = self.now();
        self.seen.with(|entries| match entries.get_mut(device) {
            Some(entry) => entry.at = at,
            None => {
                entries.insert(device.to_owned(), Entry { at, counters: HashMap::new() });
            }
        });
    }

    /// Raises the counter of a component's reports. False when another report has raised it as
    /// far in the meantime: two copies of one report do not both pass.
    pub(super) fn note_counter(&self, device: &str, serial: &str, counter: u64) -> bool {
        let at = self.now();
        self.seen.with(|entries| {
            let entry = entries
                .entry(device.to_owned())
                .or_insert_with(|| Entry { at, counters: HashMap::new() });
            let known = entry.counters.entry(serial.to_owned()).or_insert(0);
            let raised = counter > *known;
            *known = counter.max(*known);
            raised
        })
    }

    /// When a device was last seen, as far as it is not written yet.
    pub(super) fn unwritten_last_seen(&self, device: &str) -> Option<Timestamp> {
        self.seen.with(|entries| entries.get(device).map(|entry| entry.at))
    }

    /// Forgets a device.
    pub(super) fn forget_seen(&self, device: &str) {
        self.seen.with(|entries| entries.remove(device));
    }

    /// Writes what is not written yet.
    pub fn flush(&self) -> Result<()> {
        let entries = self.seen.with(|entries| entries.clone());
        if entries.is_empty() {
            return Ok(());
        }
        self.database.write("store when devices were seen", |tx| {
            for (device, entry) in &entries {
                devices::set_last_seen(tx, device, entry.at)?;
                for (serial, counter) in &entry.counters {
                    devices::raise_counter(tx, serial, *counter)?;
                }
            }
            Ok(())
        })?;
        // Only now: until the commit, the counters must be found here.
        self.seen.with(|current| {
            current.retain(|device, entry| {
                entries.get(device).is_none_or(|written| {
                    written.at != entry.at || written.counters != entry.counters
                })
            });
        });
        Ok(())
    }
}
