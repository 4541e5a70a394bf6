//! Dividing a rollout's devices into phases, once.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The most phases that a rollout may have.
pub const MAX_PHASES: usize = 100;

/// Which devices a phase adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// As many as bring the rollout to this share of all its devices, earlier phases counted in
    /// and rounded up; 1 to 100.
    Percent(u8),
    /// Those of a group; members that the rollout is not about are passed over.
    Group(BTreeSet<String>),
    /// These; each must be one of the rollout's devices.
    Devices(BTreeSet<String>),
}

/// Divides `devices` into phases, in the order of `phases`. No device is in two; those that no
/// phase selects are in none. Within a phase the ids are sorted.
///
/// A share takes devices in the order of SHA-256 over `salt`, a zero byte and the id: stable, the
/// same on every server, and other devices come first in the next rollout.
pub fn allocate(
    salt: &str,
    devices: &BTreeSet<String>,
    phases: &[Selector],
) -> Result<Vec<Vec<String>>> {
    validate(devices, phases)?;
    let mut remaining = in_stable_order(salt, devices);
    let mut taken = 0_usize;
    let mut result = Vec::with_capacity(phases.len());
    for selector in phases {
        let mut phase: Vec<String> = match selector {
            Selector::Percent(percent) => {
                let wanted = share(*percent, devices.len()).saturating_sub(taken);
                remaining.drain(..wanted.min(remaining.len())).collect()
            }
            Selector::Group(ids) | Selector::Devices(ids) => {
                remaining.extract_if(.., |device| ids.contains(device)).collect()
            }
        };
        phase.sort_unstable();
        taken += phase.len();
        result.push(phase);
    }
    Ok(result)
}

fn validate(devices: &BTreeSet<String>, phases: &[Selector]) -> Result<()> {
    if phases.is_empty() {
        return Err(Error::NoPhases);
    }
    if phases.len() > MAX_PHASES {
        return Err(Error::TooManyPhases { count: phases.len() });
    }
    let mut previous = 0;
    for (index, selector) in phases.iter().enumerate() {
        let phase = index + 1;
        match selector {
            Selector::Percent(percent) => {
                let percent = *percent;
                if !(1..=100).contains(&percent) {
                    return Err(Error::PercentOutOfRange { phase, percent });
                }
                if percent <= previous {
                    return Err(Error::PercentNotRising { phase, percent, previous });
                }
                previous = percent;
            }
            Selector::Devices(ids) => {
                if let Some(device) = ids.difference(devices).next() {
                    return Err(Error::NotInScope { phase, device: device.clone() });
                }
            }
            Selector::Group(_) => {}
        }
    }
    Ok(())
}

/// `percent` per cent of `count`, rounded up, without overflow.
fn share(percent: u8, count: usize) -> usize {
    let percent = usize::from(percent);
    count / 100 * percent + (count % 100 * percent).div_ceil(100)
}

fn in_stable_order(salt: &str, devices: &BTreeSet<String>) -> Vec<String> {
    let mut ordered: Vec<([u8; 32], &String)> = devices
        .iter()
        .map(|device| {
            let hash = Sha256::new()
                .chain_update(salt.as_bytes())
                .chain_update([0])
                .chain_update(device.as_bytes())
                .finalize();
            (hash.into(), device)
        })
        .collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, device)| device.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Selector, allocate, share};
    use crate::error::Error;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ids(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn shares_are_cumulative_and_rounded_up() {
        for (percent, count, expect) in
            [(1, 5, 1), (20, 5, 1), (21, 5, 2), (100, 5, 5), (50, 0, 0), (33, 1000, 330)]
        {
            assert_eq!(share(percent, count), expect, "{percent}% of {count}");
        }
        assert_eq!(share(100, usize::MAX), usize::MAX);
    }

    #[test]
    fn the_order_is_stable_and_salted() {
        let devices = ids(&["a", "b", "c", "d", "e"]);
        let phases = [Selector::Percent(40), Selector::Percent(100)];
        // Golden: the order must be the same in every later version.
        let first = allocate("v2", &devices, &phases).expect("valid");
        assert_eq!(first, [vec!["c", "e"], vec!["a", "b", "d"]]);
        let other = allocate("v3", &devices, &phases).expect("valid");
        assert_ne!(first, other);
    }

    #[test]
    fn groups_and_lists_come_before_the_rest() {
        let devices = ids(&["a", "b", "c", "d"]);
        let phases = [
            Selector::Devices(ids(&["d"])),
            Selector::Group(ids(&["d", "c", "elsewhere"])),
            Selector::Percent(100),
        ];
        let result = allocate("x", &devices, &phases).expect("valid");
        assert_eq!(result, [vec!["d"], vec!["c"], vec!["a", "b"]]);
    }

    #[test]
    fn senseless_phases_are_refused() {
        let devices = ids(&["a"]);
        let check = |phases: &[Selector], expect: Error| {
            assert_eq!(allocate("x", &devices, phases), Err(expect));
        };
        check(&[], Error::NoPhases);
        check(&[Selector::Percent(0)], Error::PercentOutOfRange { phase: 1, percent: 0 });
        check(&[Selector::Percent(101)], Error::PercentOutOfRange { phase: 1, percent: 101 });
        check(
            &[Selector::Percent(50), Selector::Percent(50)],
            Error::PercentNotRising { phase: 2, percent: 50, previous: 50 },
        );
        check(
            &[Selector::Devices(ids(&["b"]))],
            Error::NotInScope { phase: 1, device: "b".into() },
        );
        check(&vec![Selector::Group(ids(&[])); 101], Error::TooManyPhases { count: 101 });
    }

    proptest! {
        #[test]
        fn no_device_is_in_two_phases_and_shares_hold(
            devices in proptest::collection::btree_set("[a-z]{1,3}", 0..60),
            mut percents in proptest::collection::btree_set(1_u8..=100, 1..5),
            salt in "[a-z]{0,4}",
        ) {
            percents.insert(100);
            let phases: Vec<Selector> = percents.iter().map(|p| Selector::Percent(*p)).collect();
            let result = allocate(&salt, &devices, &phases).expect("valid");
            let mut seen = BTreeSet::new();
            for (phase, percent) in result.iter().zip(&percents) {
                for device in phase {
                    prop_assert!(seen.insert(device.clone()));
                }
                prop_assert_eq!(seen.len(), share(*percent, devices.len()));
            }
            prop_assert_eq!(seen, devices);
        }
    }
}
