//! A newer rollout takes devices over from older ones.

use jiff::Timestamp;
use updraft_api::{EventKind, RolloutDeviceState};

use crate::error::Result;
use crate::fleet::hawkbit::orders;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::By;
use crate::storage::rollouts::{self, of_device};
use crate::storage::sql::Transaction;

/// Leaves the devices of a rollout out of older ones in which they have fetched nothing, when the
/// rollout was made to.
pub(in crate::fleet) fn take_over(
    tx: &Transaction<'_>,
    rollout: &str,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let newer = rollouts::require(tx, rollout)?;
    if !newer.request.takes_over {
        return Ok(());
    }
    for member in of_device::to_take_over(tx, rollout)? {
        let older = rollouts::require(tx, &member.rollout)?;
        if older.created_at > newer.created_at {
            continue;
        }
        let device = &member.device;
        let reason = format!("taken over by rollout {rollout}");
        let state = RolloutDeviceState::Skipped;
        rollouts::set_member_state(tx, &member.rollout, device, state, Some(&reason), now)?;
        orders::take_back(tx, &member, &reason, By { actor, at: now })?;
        if member.state == RolloutDeviceState::Assigned {
            let message = format!("the assignment of device {device} is void: {reason}");
            let event = NewEvent::new(EventKind::AssignmentCancelled, actor, message)
                .device(device)
                .rollout(&member.rollout);
            events::append(tx, now, &event)?;
        }
    }
    Ok(())
}
