//! RAUC's variables.

use super::super::{BootStatus, Counting, Slot, SlotStatus};
use super::{Change, Scheme, Variable};

const ORDER: &str = "BOOT_ORDER";
/// What U-Boot's script puts where there is no number.
const SCRIPT_TRIES: u32 = 3;

pub(super) struct Rauc<'a> {
    pub(super) names: &'a [String; 2],
    pub(super) default_tries: u32,
}

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Rauc<'_> {
    fn left_name(&self, slot: Slot) -> String {
        format!("BOOT_{}_LEFT", slot.of(self.names))
    }

    fn left(&self, get: Get<'_>, slot: Slot) -> u32 {
        let text = get(&self.left_name(slot));
        text.map_or(SCRIPT_TRIES, |text| {
            let digits = text.strip_prefix("0x").unwrap_or(&text);
            u32::from_str_radix(digits, 16).unwrap_or(0)
        })
    }

    fn order(&self, get: Get<'_>) -> Vec<Slot> {
        let Some(order) = get(ORDER) else { return Slot::ALL.to_vec() };
        let slot = |name: &str| Slot::ALL.into_iter().find(|slot| slot.of(self.names) == name);
        order.split_whitespace().filter_map(slot).collect()
    }

    fn set_order(&self, slots: &[Slot]) -> Variable {
        let names: Vec<&str> = slots.iter().map(|slot| slot.of(self.names).as_str()).collect();
        (ORDER.to_owned(), names.join(" "))
    }

    fn set_left(&self, slot: Slot, left: u32) -> Variable {
        (self.left_name(slot), format!("{left:x}"))
    }
}

impl Scheme for Rauc<'_> {
    fn counting(&self) -> Counting {
        Counting { max_tries: u32::MAX, counts_successful: true }
    }

    fn status(&self, get: Get<'_>) -> BootStatus {
        let order = self.order(get);
        let active = order.iter().copied().find(|slot| self.left(get, *slot) > 0);
        let slots = Slot::ALL.map(|slot| {
            let left = self.left(get, slot);
            SlotStatus {
                is_bootable: left > 0 && order.contains(&slot),
                is_successful: None,
                tries_left: Some(left),
            }
        });
        BootStatus { active, slots }
    }

    fn change(&self, get: Get<'_>, change: Change) -> Vec<Variable> {
        let mut order = self.order(get);
        match change {
            Change::Activate(slot, tries) => {
                order.retain(|one| *one != slot);
                order.insert(0, slot);
                let tries = tries.unwrap_or(self.default_tries).max(1);
                vec![self.set_order(&order), self.set_left(slot, tries)]
            }
            Change::Disable(slot) => {
                order.retain(|one| *one != slot);
                vec![self.set_order(&order), self.set_left(slot, 0)]
            }
            Change::Confirm(slot) => vec![self.set_left(slot, self.default_tries.max(1))],
        }
    }
}
