//! What rollouts tell devices that are told actions, and what their reports mean for the rollouts.

use updraft_api::{NewRollout, RolloutAction, RolloutDeviceState};
use updraft_hawkbit::management::{ActionKind, ActionStatus, AssignmentBody};

use super::assignment::{Assigning, begin_cancel, check_set, end_canceled};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::fleet::reconcile::outcome::{self, Outcome};
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::actions::{self, ActionRecord, NewReport};
use crate::storage::hawkbit::{By, devices, rollouts as scripts, sets};
use crate::storage::rollouts::{self, MemberRecord, members, of_device};
use crate::storage::sql::Transaction;

/// Has a device install a set for a rollout; gives the number of the action. An order that it has for
/// the same set already is taken for the rollout's.
pub(in crate::fleet) fn give(
    fleet: &Fleet,
    tx: &Transaction<'_>,
    device: &str,
    set: i64,
    request: &NewRollout,
    by: By<'_>,
) -> Result<i64> {
    let tenant = fleet.tenant()?;
    let set = sets::require(tx, set)?;
    check_set(&set)?;
    if tenant.implicit_lock && !set.locked {
        sets::lock(tx, set.id)?;
    }
    let mut device = devices::require(tx, device)?;
    if device.assigned == Some(set.id) {
        let stands =
            |action: &ActionRecord| action.set == set.id && !action.is_canceling_or_canceled();
        if let Some(action) = actions::active(tx, &device.id)?.into_iter().find(stands) {
            return Ok(action.id);
        }
        // It was told once, and that is over: it is told again.
        device.assigned = None;
    }
    let script = scripts::of_rollout(tx, &request.name)?.unwrap_or_default();
    let kind = match request.action {
        RolloutAction::Forced | RolloutAction::Consent => ActionKind::Forced,
        RolloutAction::Soft => ActionKind::Soft,
        RolloutAction::DownloadOnly => ActionKind::DownloadOnly,
    };
    let kind = Some(script.kind.unwrap_or(kind));
    let wanted = AssignmentBody { id: device.id.clone(), kind, ..script };
    let ask = request.action == RolloutAction::Consent;
    let assigning = Assigning { tx, tenant: &tenant, set: &set, ask, by };
    let id = device.id.clone();
    let action = assigning.one(device, &wanted, false)?;
    action.ok_or_else(|| crate::error::Error::Internal {
        action: "tell a device what to install",
        reason: format!("device {id} was told set {} already", set.id),
    })
}

/// Takes an order back: at once where the device has not fetched it, or else by telling it to stop.
pub(in crate::fleet) fn take_back(
    tx: &Transaction<'_>,
    member: &MemberRecord,
    reason: &str,
    by: By<'_>,
) -> Result<()> {
    let Some(action) = member.action else { return Ok(()) };
    let Some(mut action) = actions::get(tx, action)? else { return Ok(()) };
    if !action.active || action.is_canceling_or_canceled() {
        return Ok(());
    }
    if member.assignment.as_ref().is_some_and(|assignment| assignment.started_at.is_some()) {
        return begin_cancel(tx, &mut action, reason, by);
    }
    let Some(mut device) = devices::get(tx, &member.device)? else { return Ok(()) };
    let report = NewReport::of_server(ActionStatus::Canceled, reason);
    actions::append(tx, action.id, &report, by.at)?;
    end_canceled(tx, &mut device, &mut action, by)?;
    devices::update(tx, &device, None)
}

/// A device has fetched its order.
pub(in crate::fleet) fn fetched(tx: &Transaction<'_>, action: i64, by: By<'_>) -> Result<()> {
    let Some(member) = of_device::of_action(tx, action)? else { return Ok(()) };
    match member.state {
        RolloutDeviceState::Assigned => {
            let (rollout, device) = (&member.rollout, &member.device);
            let started = RolloutDeviceState::Started;
            rollouts::set_member_state(tx, rollout, device, started, None, by.at)?;
            let message = format!("device {device} fetched its assignment");
            let event = NewEvent::new(updraft_api::EventKind::AssignmentStarted, by.actor, message)
                .device(device)
                .rollout(rollout);
            events::append(tx, by.at, &event)
        }
        RolloutDeviceState::RollingBack => {
            members::set_fetched(tx, &member.rollout, &member.device, by.at)
        }
        _ => Ok(()),
    }
}

/// An order has ended; what that means for the rollout that gave it. False when none did, or it waits
/// for this one no more.
pub(in crate::fleet) fn ended(
    tx: &Transaction<'_>,
    action: i64,
    outcome: Outcome<'_>,
    by: By<'_>,
) -> Result<bool> {
    let Some(member) = of_device::of_action(tx, action)? else { return Ok(false) };
    if !is_told(member.state) {
        return Ok(false);
    }
    let (kind, message) = outcome::store(tx, &member, outcome, by.at)?;
    let event =
        NewEvent::new(kind, by.actor, message).device(&member.device).rollout(&member.rollout);
    events::append(tx, by.at, &event)?;
    Ok(true)
}

/// An order was cancelled, and not by the rollout that gave it: the device is left out.
pub(in crate::fleet) fn cancelled(tx: &Transaction<'_>, action: i64, by: By<'_>) -> Result<()> {
    let Some(member) = of_device::of_action(tx, action)? else { return Ok(()) };
    if !is_told(member.state) {
        return Ok(());
    }
    let state = match member.state {
        RolloutDeviceState::RollingBack => RolloutDeviceState::RollbackFailed,
        _ => RolloutDeviceState::Skipped,
    };
    let reason = Some("its action was cancelled");
    rollouts::set_member_state(tx, &member.rollout, &member.device, state, reason, by.at)
}

fn is_told(state: RolloutDeviceState) -> bool {
    matches!(
        state,
        RolloutDeviceState::Assigned
            | RolloutDeviceState::Started
            | RolloutDeviceState::RollingBack
    )
}
