//! Running the rollout planner: look, plan, apply, until there is nothing to do.
//!
//! Idempotent and without input, so it may run at any time and any number of times. Each
//! rollout's look, plan and apply are one transaction.

mod apply;
mod back;
pub(in crate::fleet) mod fit;
pub(in crate::fleet) mod outcome;
pub(in crate::fleet) mod situation;
pub(in crate::fleet) mod take_over;

use updraft_rollout::Action;

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::rollouts;

pub(in crate::fleet) use apply::Apply;
pub(in crate::fleet) use situation::situation;

/// The most rounds of one run; each round but the last changes something, so more would mean
/// that planner and database disagree.
const MAX_ROUNDS: usize = 1000;

impl Fleet {
    /// Brings all rollouts as far as they go now, after telling devices what is due.
    pub fn reconcile(&self) -> Result<()> {
        self.run_standing_orders()?;
        self.assign_by_filters()?;
        // One that cannot go on holds up no other.
        let mut result = Ok(());
        for name in self.database.read("list running rollouts", rollouts::alive)? {
            if let Err(error) = self.reconcile_to_rest(&name) {
                let reason = crate::error::chain(&error);
                tracing::error!(rollout = name, reason, "a rollout cannot go on");
                result = Err(error);
            }
        }
        result
    }

    fn reconcile_to_rest(&self, name: &str) -> Result<()> {
        for _ in 0..MAX_ROUNDS {
            if !self.reconcile_one(name)? {
                return Ok(());
            }
        }
        Err(Error::Internal {
            action: "run a rollout",
            reason: format!("rollout {name} does not settle"),
        })
    }

    /// One round for one rollout; false when there was nothing to do.
    fn reconcile_one(&self, name: &str) -> Result<bool> {
        let now = self.now();
        let planned = self.database.read("plan a rollout", |reader| {
            let Some(record) = rollouts::get(reader, name)? else { return Ok(Vec::new()) };
            Ok(updraft_rollout::plan(&situation(self, reader, &record, now)?, now))
        })?;
        // Most of the time there is nothing to do, and then nothing is written.
        if planned.is_empty() {
            return Ok(false);
        }
        let actions = self.database.write("run a rollout", |tx| {
            let Some(record) = rollouts::get(tx, name)? else { return Ok(Vec::new()) };
            let actions = updraft_rollout::plan(&situation(self, tx, &record, now)?, now);
            let apply = Apply { fleet: self, tx, rollout: name, now, actor: "server" };
            apply.all(&actions)?;
            Ok(actions)
        })?;
        self.forget_polls(&actions);
        Ok(!actions.is_empty())
    }

    /// What devices are told that poll is another thing now.
    pub(in crate::fleet) fn forget_polls(&self, actions: &[Action]) {
        for action in actions {
            // It may take over any device from other rollouts.
            if *action == Action::Begin {
                self.hawkbit.polls.forget_all();
            }
            if let Action::Assign { device }
            | Action::Cancel { device }
            | Action::Withdraw { device }
            | Action::TimeOut { device }
            | Action::TakeBack { device }
            | Action::Strand { device, .. } = action
            {
                self.hawkbit.polls.forget(device);
            }
        }
    }
}
