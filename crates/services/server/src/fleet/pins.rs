//! Pinning devices to what they run.

use updraft_api::{Device, EventKind};

use super::Fleet;
use super::freezes::check_reason;
use super::operators::Operator;
use crate::error::Result;
use crate::storage::events::{self, NewEvent};
use crate::storage::{devices, pins};

impl Fleet {
    /// Has no rollout take a device until the pin is removed. What it was told already goes on.
    pub fn pin_device(&self, operator: &Operator, id: &str, reason: &str) -> Result<Device> {
        check_reason(reason)?;
        let now = self.now();
        let actor = operator.actor();
        self.database.write("pin a device", |tx| {
            devices::require(tx, id)?;
            // The same again is a retry.
            if pins::get(tx, id)?.is_some_and(|pin| pin.reason == reason) {
                return Ok(());
            }
            pins::put(tx, id, reason, &actor, now)?;
            let message = match reason {
                "" => format!("device {id} was pinned"),
                reason => format!("device {id} was pinned: {reason}"),
            };
            let event = NewEvent::new(EventKind::DevicePinned, &actor, message).device(id);
            events::append(tx, now, &event)
        })?;
        self.device(id)
    }

    /// Lets rollouts take a device again.
    pub fn unpin_device(&self, operator: &Operator, id: &str) -> Result<Device> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("unpin a device", |tx| {
            devices::require(tx, id)?;
            if !pins::remove(tx, id)? {
                return Ok(());
            }
            let message = format!("device {id} is pinned no more");
            let event = NewEvent::new(EventKind::DeviceUnpinned, &actor, message).device(id);
            events::append(tx, now, &event)
        })?;
        self.kick();
        self.device(id)
    }
}
