//! How it went with what a device was told, whatever it speaks.

use jiff::Timestamp;
use updraft_api::{EventKind, RolloutDeviceState};

use crate::error::Result;
use crate::storage::rollouts::{self, MemberRecord};
use crate::storage::sql::Transaction;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) enum Outcome<'a> {
    /// The device runs what it was told.
    Runs,
    /// The device has fetched it, and was told to do no more.
    Has,
    /// It could not, and says why.
    Failed(&'a str),
}

/// Stores how it went; gives what sort of event that is, and its words.
pub(in crate::fleet) fn store(
    tx: &Transaction<'_>,
    member: &MemberRecord,
    outcome: Outcome<'_>,
    now: Timestamp,
) -> Result<(EventKind, String)> {
    let device = &member.device;
    let is_back = member.state == RolloutDeviceState::RollingBack;
    let (kind, message, state, reason) = match (outcome, is_back, &member.via) {
        (Outcome::Runs, false, Some(via)) => {
            let message = format!("device {device} runs {via}, which has to come first");
            let reason = format!("it runs {via}, which has to come first");
            let rollout = &member.rollout;
            rollouts::members::set_waiting(tx, rollout, device, 0, Some(&reason), now)?;
            return Ok((EventKind::AssignmentSucceeded, message));
        }
        (Outcome::Runs, false, None) => (
            EventKind::AssignmentSucceeded,
            format!("device {device} runs what it was assigned"),
            RolloutDeviceState::Succeeded,
            None,
        ),
        (Outcome::Has, ..) => (
            EventKind::AssignmentSucceeded,
            format!("device {device} has downloaded what it was assigned"),
            RolloutDeviceState::Succeeded,
            None,
        ),
        (Outcome::Runs, true, _) => (
            EventKind::AssignmentRolledBack,
            format!("device {device} runs again what it ran before"),
            RolloutDeviceState::RolledBack,
            None,
        ),
        (Outcome::Failed(reason), false, _) => (
            EventKind::AssignmentFailed,
            format!("device {device} failed: {reason}"),
            RolloutDeviceState::Failed,
            Some(reason),
        ),
        (Outcome::Failed(reason), true, _) => (
            EventKind::RollbackFailed,
            format!("device {device} could not be brought back: {reason}"),
            RolloutDeviceState::RollbackFailed,
            Some(reason),
        ),
    };
    rollouts::set_member_state(tx, &member.rollout, device, state, reason, now)?;
    Ok((kind, message))
}
