//! Mender's variables.

use super::super::{BootStatus, Counting, Slot, SlotStatus};
use super::{Change, Scheme, Variable};

const PART: &str = "mender_boot_part";
const PART_HEX: &str = "mender_boot_part_hex";
const TRIAL: &str = "upgrade_available";
const COUNT: &str = "bootcount";
const LIMIT: &str = "bootlimit";

pub(super) struct Mender {
    pub(super) partitions: [u32; 2],
}

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Mender {
    /// The slot that the variables name.
    fn named(&self, get: Get<'_>) -> Option<Slot> {
        let part: u32 = get(PART)?.trim().parse().ok()?;
        Slot::ALL.into_iter().find(|slot| *slot.of(&self.partitions) == part)
    }

    /// How often the named slot may still be tried. `None`: it is not on trial.
    fn left(get: Get<'_>) -> Option<u32> {
        let number = |name| get(name).and_then(|text| text.trim().parse::<u32>().ok());
        let is_on_trial = get(TRIAL).is_some_and(|value| value.trim() == "1");
        is_on_trial.then(|| number(LIMIT).unwrap_or(1).saturating_sub(number(COUNT).unwrap_or(0)))
    }

    fn settle(&self, slot: Slot, tries: Option<u32>) -> Vec<Variable> {
        let part = slot.of(&self.partitions);
        let mut variables = vec![
            (PART, part.to_string()),
            (PART_HEX, format!("{part:x}")),
            (TRIAL, u32::from(tries.is_some()).to_string()),
            (COUNT, "0".to_owned()),
        ];
        variables.extend(tries.map(|tries| (LIMIT, tries.max(1).to_string())));
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Scheme for Mender {
    fn counting(&self) -> Counting {
        Counting { max_tries: u32::MAX, counts_successful: false }
    }

    fn status(&self, get: Get<'_>) -> BootStatus {
        let (named, left) = (self.named(get), Self::left(get));
        let active = if left == Some(0) { named.map(Slot::other) } else { named };
        let slots = Slot::ALL.map(|slot| {
            let is_named = named == Some(slot);
            SlotStatus {
                // What is not named is started only when the trial of the other one fails.
                is_bootable: if is_named { left != Some(0) } else { left.is_some() },
                is_successful: if is_named { Some(left.is_none()) } else { left.map(|_| true) },
                tries_left: left.filter(|_| is_named),
            }
        });
        BootStatus { active, slots }
    }

    fn change(&self, get: Get<'_>, change: Change) -> Vec<Variable> {
        let named = self.named(get);
        match change {
            Change::Activate(slot, tries) => self.settle(slot, tries),
            // The other one is started from now on, without a trial: nothing leads back.
            Change::Disable(slot) => self.settle(slot.other(), None),
            Change::Confirm(slot) if named == Some(slot) => self.settle(slot, None),
            // It runs because the trial of the other one failed, and is what is started already.
            Change::Confirm(_) => Vec::new(),
        }
    }
}
