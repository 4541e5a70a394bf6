//! How far each device of a campaign has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::RolloutDeviceState;

use crate::error::Result;
use crate::fleet::Fleet;
use crate::storage::rollouts::MemberRecord;
use crate::storage::{campaigns, groups};

/// One device of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The device.
    pub device: String,
    /// Where it stands, in the campaigner's words: `requested` (somebody there is asked), `rejected`
    /// (and said no), `scheduled` (not fetched yet), `accepted` (fetched), `successful`, `failed`,
    /// `cancelled`.
    pub status: &'static str,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
    /// When it was told.
    pub assigned_at: Option<Timestamp>,
    /// When that last changed.
    pub changed_at: Option<Timestamp>,
}

impl Fleet {
    /// The devices of a campaign, by id.
    pub fn deliveries(&self, campaign: &str) -> Result<Vec<Delivery>> {
        self.database.read("list a campaign's devices", |reader| {
            let campaign = campaigns::require(reader, campaign)?;
            let mut found = BTreeMap::new();
            if campaign.approval_needed && campaign.status != "prepared" {
                for name in campaign.groups()? {
                    let devices = groups::devices(reader, &name)?;
                    found.extend(devices.into_iter().map(|device| asked(device, "requested")));
                }
                // Once it is cancelled nobody is asked any more.
                if campaign.status == "cancelled" {
                    found.clear();
                }
                let declined = campaigns::answers(reader, &campaign.id)?;
                let declined = declined.into_iter().filter(|(_, answer)| answer == "declined");
                found.extend(declined.map(|(device, _)| asked(device, "rejected")));
            }
            let told = campaigns::members(reader, &campaign.correlation())?;
            found.extend(told.into_iter().map(|member| (member.device.clone(), of(member))));
            Ok(found.into_values().collect())
        })
    }
}

fn asked(device: String, status: &'static str) -> (String, Delivery) {
    let (reason, assigned_at, changed_at) = (None, None, None);
    (device.clone(), Delivery { device, status, reason, assigned_at, changed_at })
}

fn of(member: MemberRecord) -> Delivery {
    let status = match member.state {
        RolloutDeviceState::Waiting | RolloutDeviceState::Assigned => "scheduled",
        RolloutDeviceState::Started | RolloutDeviceState::RollingBack => "accepted",
        RolloutDeviceState::Succeeded => "successful",
        RolloutDeviceState::Failed
        | RolloutDeviceState::RolledBack
        | RolloutDeviceState::RollbackFailed => "failed",
        RolloutDeviceState::Cancelled | RolloutDeviceState::Skipped => "cancelled",
    };
    Delivery {
        device: member.device,
        status,
        reason: member.reason,
        assigned_at: member.assignment.map(|assignment| assignment.assigned_at),
        changed_at: member.changed_at,
    }
}
