//! The fleet at a glance.

use updraft_api::{Attention, AttentionReason, FailureCluster, Overview};

use super::Fleet;
use crate::error::Result;
use crate::storage::{device_list, rollout_failures, rollouts};

/// The most versions and rollouts that an overview names.
const MAX_NAMED: u32 = 12;

/// What operators should look at, and how a list of just these devices is asked for.
const ATTENTION: [(AttentionReason, &str); 3] = [
    (AttentionReason::Failed, "state==failed"),
    (AttentionReason::Attacked, "attacked==true"),
    (AttentionReason::Silent, "state!=revoked;last_seen=lt=-7d"),
];

impl Fleet {
    /// The fleet at a glance.
    pub fn overview(&self) -> Result<Overview> {
        let mut conditions = Vec::new();
        for (reason, filter) in ATTENTION {
            conditions.push((reason, filter, self.device_condition(Some(filter))?));
        }
        let (mut overview, unfinished) = self.database.read("count devices", |reader| {
            let mut attention = Vec::new();
            for (reason, filter, (condition, parameters)) in &conditions {
                let devices = device_list::count(reader, condition, parameters)?;
                let filter = (*filter).to_owned();
                attention.push(Attention { reason: *reason, devices, filter });
            }
            let states = device_list::states(reader)?;
            let devices = states.iter().map(|count| count.devices).sum();
            let versions = device_list::versions(reader, MAX_NAMED)?;
            let overview = Overview { devices, states, versions, attention, rollouts: Vec::new() };
            Ok((overview, rollouts::unfinished(reader)?))
        })?;
        for name in unfinished.iter().rev().take(MAX_NAMED as usize) {
            overview.rollouts.push(self.rollout(name)?);
        }
        Ok(overview)
    }

    /// Why devices of a rollout failed, alike ones together, the most frequent first.
    pub fn rollout_failures(&self, name: &str) -> Result<Vec<FailureCluster>> {
        self.database.read("count a rollout's failures", |reader| {
            rollouts::require(reader, name)?;
            rollout_failures::clusters(reader, name)
        })
    }
}
