//! What becomes of a rule's alarms: a function of what is open and what holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::storage::alerts::Open;

/// A change to one alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The condition begins to hold.
    Begin { device: String, message: String },
    /// It held for long enough. Without a number it has just begun.
    Fire { id: Option<i64>, device: String, message: String },
    /// It holds no more.
    Resolve { id: i64, device: String, is_fired: bool },
}

/// What to do, by device. `matches` are the devices for which the condition holds, with what is the
/// matter in words.
pub(super) fn changes(
    open: &BTreeMap<String, Open>,
    matches: BTreeMap<String, String>,
    for_seconds: u64,
    now: Timestamp,
) -> Vec<Change> {
    let mut changes: Vec<Change> = open
        .iter()
        .filter(|(device, _)| !matches.contains_key(*device))
        .map(|(device, open)| Change::Resolve {
            id: open.id,
            device: device.clone(),
            is_fired: open.is_fired,
        })
        .collect();
    for (device, message) in matches {
        match open.get(&device) {
            Some(open) if open.is_fired => {}
            Some(open) => {
                // A clock that was set back must not keep an alarm from being raised for ever.
                let held = now.duration_since(open.since).unsigned_abs().as_secs();
                if held >= for_seconds {
                    changes.push(Change::Fire { id: Some(open.id), device, message });
                }
            }
            None if for_seconds == 0 => changes.push(Change::Fire { id: None, device, message }),
            None => changes.push(Change::Begin { device, message }),
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn matching(devices: &[&str]) -> BTreeMap<String, String> {
        devices.iter().map(|device| ((*device).to_owned(), "low".to_owned())).collect()
    }

    fn open(list: &[(&str, i64, bool)]) -> BTreeMap<String, Open> {
        let open = |(number, (device, since, is_fired)): (usize, &(&str, i64, bool))| {
            let id = i64::try_from(number).expect("small");
            ((*device).to_owned(), Open { id, since: at(*since), is_fired: *is_fired })
        };
        list.iter().enumerate().map(open).collect()
    }

    #[test]
    fn an_alarm_is_raised_once_it_held_for_long_enough_and_ends_with_its_condition() {
        let (low, a) = ("low".to_owned(), "a".to_owned());
        let begin = Change::Begin { device: a.clone(), message: low.clone() };
        let fire = |id| Change::Fire { id, device: a.clone(), message: low.clone() };
        let resolve = |is_fired| Change::Resolve { id: 0, device: a.clone(), is_fired };
        for (open_before, devices, for_seconds, expected) in [
            (vec![], vec![], 60, vec![]),
            (vec![], vec!["a"], 0, vec![fire(None)]),
            (vec![], vec!["a"], 60, vec![begin]),
            (vec![("a", 100, false)], vec!["a"], 60, vec![]),
            (vec![("a", 40, false)], vec!["a"], 60, vec![fire(Some(0))]),
            (vec![("a", 40, true)], vec!["a"], 60, vec![]),
            (vec![("a", 40, true)], vec![], 60, vec![resolve(true)]),
            (vec![("a", 40, false)], vec![], 60, vec![resolve(false)]),
            // The clock was set back by more than that.
            (vec![("a", 200, false)], vec!["a"], 60, vec![fire(Some(0))]),
        ] {
            let found = changes(&open(&open_before), matching(&devices), for_seconds, at(100));
            assert_eq!(found, expected, "{open_before:?} {devices:?} {for_seconds}");
        }
    }
}
