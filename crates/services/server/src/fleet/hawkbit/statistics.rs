//! How often a distribution set is used, and how that stands.

use std::collections::BTreeMap;

use updraft_hawkbit::management::SetStatistics;

use super::rollouts::status_of;
use crate::error::Result;
use crate::fleet::Fleet;
use crate::storage::hawkbit::{actions, filters, rollouts, sets};

/// Which numbers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// All of them.
    All,
    /// Rollouts by status.
    Rollouts,
    /// Actions by status.
    Actions,
    /// Filters by which devices are told the set.
    AutoAssignments,
}

impl Fleet {
    /// Numbers about a set. What there is none of is left out, as hawkBit does.
    pub fn set_statistics(&self, set: i64, counted: Counted) -> Result<SetStatistics> {
        let wants = |one: Counted| counted == Counted::All || counted == one;
        self.database.read("count what a distribution set is used for", |reader| {
            sets::require(reader, set)?;
            let mut found = SetStatistics::default();
            if wants(Counted::Rollouts) {
                let states = rollouts::states_of_set(reader, set)?;
                let words = states.into_iter().map(|(state, count)| (status_of(state), count));
                found.rollouts = with_total(words.map(|(word, count)| (word.to_owned(), count)));
            }
            if wants(Counted::Actions) {
                found.actions = with_total(actions::count_by_status(reader, set)?.into_iter());
            }
            if wants(Counted::AutoAssignments) {
                let count = filters::count_of_set(reader, set)?;
                found.total_auto_assignments = (count > 0).then_some(count);
            }
            Ok(found)
        })
    }
}

/// By status in capital letters, with the sum under `total`.
fn with_total(counts: impl Iterator<Item = (String, u64)>) -> Option<BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    let mut total: u64 = 0;
    for (word, count) in counts {
        let of_word = all.entry(word.to_uppercase()).or_default();
        *of_word = of_word.saturating_add(count);
        total = total.saturating_add(count);
    }
    (total > 0).then(|| {
        all.insert("total".to_owned(), total);
        all
    })
}
