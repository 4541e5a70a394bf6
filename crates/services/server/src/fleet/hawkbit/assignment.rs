//! Telling devices what to install, and taking that back.

use jiff::Timestamp;
use updraft_api::EventKind;
use updraft_hawkbit::management::{
    ActionKind, ActionStatus, AssignmentBody, DistributionSet, UpdateStatus,
};

use super::configuration::Tenant;
use super::deployment::check_window;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::actions::{self, ActionRecord, ActionValues, NewReport};
use crate::storage::hawkbit::devices::{self, ActionDevice};
use crate::storage::hawkbit::{By, sets, types};
use crate::storage::sql::Transaction;

/// The most devices of one request.
const MAX_TARGETS: usize = 5000;
/// The most actions of one device.
const MAX_ACTIONS: u64 = 2000;

/// What came of an assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// How many devices had the set already.
    pub already: u64,
    /// The actions that were made: numbers and devices.
    pub actions: Vec<(i64, String)>,
}

impl Fleet {
    /// Tells devices to install a set; or, `offline`, notes that they have.
    pub fn assign_set(
        &self,
        operator: &Operator,
        set: i64,
        wanted: &[AssignmentBody<String>],
        offline: bool,
    ) -> Result<Assigned> {
        if wanted.len() > MAX_TARGETS {
            let message = format!("one request may name {MAX_TARGETS} targets");
            return Err(Error::hawkbit(Trouble::Quota, message));
        }
        let now = self.now();
        let tenant = self.tenant()?;
        for one in wanted {
            check(one, now)?;
        }
        let actor = operator.actor();
        let result = self.database.write("assign a distribution set", |tx| {
            let set = sets::require(tx, set)?;
            check_set(&set)?;
            if tenant.implicit_lock && !set.locked {
                sets::lock(tx, set.id)?;
            }
            let assigning = Assigning {
                tx,
                tenant: &tenant,
                set: &set,
                ask: false,
                by: By { actor: &actor, at: now },
            };
            let mut result = Assigned::default();
            for one in wanted {
                // As hawkBit does it: who is not known is passed over.
                let Some(device) = devices::get(tx, &one.id)? else { continue };
                let id = device.id.clone();
                match assigning.one(device, one, offline)? {
                    Some(action) => result.actions.push((action, id)),
                    None => result.already = result.already.saturating_add(1),
                }
            }
            Ok(result)
        });
        for one in wanted {
            self.hawkbit.polls.forget(&one.id);
        }
        result
    }

    /// Tells a device to stop; with `force`, ends what it was told to stop and does not.
    pub fn cancel_action(
        &self,
        operator: &Operator,
        device: &str,
        action: i64,
        force: bool,
    ) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        let by = By { actor: &actor, at: now };
        self.write_for("cancel an action", device, |tx| {
            let mut device = devices::require(tx, device)?;
            let mut action = actions::require(tx, &device.id, action)?;
            let is_canceling = action.status == ActionStatus::Canceling;
            if force {
                if !action.active || !is_canceling {
                    let message = format!("action {} is not being cancelled", action.id);
                    return Err(Error::hawkbit(Trouble::NotForceQuitable, message));
                }
                let message = "A force quit has been performed.";
                let report = NewReport::of_server(ActionStatus::Canceled, message);
                actions::append(tx, action.id, &report, now)?;
                end_canceled(tx, &mut device, &mut action, by)?;
                return devices::update(tx, &device, None);
            }
            if !action.active || is_canceling {
                let message = format!("action {} has ended or is being cancelled", action.id);
                return Err(Error::hawkbit(Trouble::NotCancelable, message));
            }
            begin_cancel(tx, &mut action, "manual cancelation requested", by)
        })
    }

    /// Makes an action forced that is not.
    pub fn force_action(&self, operator: &Operator, device: &str, action: i64) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.write_for("force an action", device, |tx| {
            let mut action = actions::require(tx, device, action)?;
            if action.active && matches!(action.kind, ActionKind::Soft | ActionKind::TimeForced) {
                action.kind = ActionKind::Forced;
                action.forced_at = None;
                actions::update(tx, &action, By { actor: &actor, at: now })?;
            }
            Ok(())
        })
    }
}

/// Refuses how a set is to be installed.
fn check(one: &AssignmentBody<String>, now: Timestamp) -> Result<()> {
    if one.weight.is_some_and(|weight| !(0..=1000).contains(&weight)) {
        return Err(Error::hawkbit(Trouble::Value, "a weight must be 0 to 1000"));
    }
    if let Some(window) = &one.maintenance_window {
        check_window(window, now)?;
    }
    Ok(())
}

/// Refuses a set that no device may be told.
pub(in crate::fleet) fn check_set(set: &DistributionSet) -> Result<()> {
    if !set.valid {
        let message = format!("the distribution set {} was invalidated", set.id);
        return Err(Error::hawkbit(Trouble::Invalidated, message));
    }
    if !set.complete {
        let message = format!("the distribution set {} lacks a mandatory module", set.id);
        return Err(Error::hawkbit(Trouble::Incomplete, message));
    }
    Ok(())
}

/// Telling devices one set.
pub(super) struct Assigning<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) tenant: &'a Tenant,
    pub(super) set: &'a DistributionSet,
    /// Whether somebody at the device is asked even where the tenant asks nobody.
    pub(super) ask: bool,
    pub(super) by: By<'a>,
}

impl Assigning<'_> {
    /// Gives the number of the action, or none when the device has the set already.
    pub(super) fn one(
        &self,
        mut device: ActionDevice,
        wanted: &AssignmentBody<String>,
        offline: bool,
    ) -> Result<Option<i64>> {
        let (tx, set) = (self.tx, self.set);
        if device.assigned == Some(set.id) {
            return Ok(None);
        }
        if let Some((target_type, name)) = &device.target_type
            && !types::takes(tx, *target_type, set.id)?
        {
            let message = format!(
                "target {} is of the type {name}, which takes no distribution sets of the type {}",
                device.id, set.type_name
            );
            return Err(Error::hawkbit(Trouble::Incompatible, message));
        }
        let listing = crate::storage::hawkbit::Listing {
            order: "a.id".to_owned(),
            limit: 0,
            ..Default::default()
        };
        if actions::list(tx, Some(&device.id), &listing)?.1 >= MAX_ACTIONS {
            let message = format!("target {} has {MAX_ACTIONS} actions; delete some", device.id);
            return Err(Error::hawkbit(Trouble::Quota, message));
        }
        if !offline {
            self.supersede(&mut device)?;
        }
        let confirmed = device.auto_confirm.is_some()
            || wanted.confirmation_required == Some(false)
            || !(self.tenant.confirmation || self.ask)
            || offline;
        let status = match (offline, confirmed) {
            (true, _) => ActionStatus::Finished,
            (false, true) => ActionStatus::Running,
            (false, false) => ActionStatus::WaitForConfirmation,
        };
        let values = ActionValues {
            set: set.id,
            kind: wanted.kind.unwrap_or_default(),
            forced_at: wanted
                .forcetime
                .filter(|_| wanted.kind == Some(ActionKind::TimeForced))
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            weight: wanted.weight,
            status,
            active: !offline,
            window: wanted.maintenance_window.clone(),
        };
        let action = actions::insert(tx, &device.id, &values, self.by)?;
        let message = match status {
            ActionStatus::Finished => "Action reported as offline deployment".to_owned(),
            ActionStatus::WaitForConfirmation => {
                "The device has to confirm this action first.".to_owned()
            }
            _ => format!("Assignment initiated by user '{}'", self.by.actor),
        };
        actions::append(tx, action, &NewReport::of_server(status, &message), self.by.at)?;
        device.assigned = Some(set.id);
        device.status = UpdateStatus::Pending;
        if offline {
            device.installed = Some(set.id);
            device.installed_at = Some(self.by.at);
            device.status = UpdateStatus::InSync;
        }
        devices::update(tx, &device, None)?;
        let message = format!(
            "device {} is to run {} {} (action {action})",
            device.id, set.name, set.version
        );
        let event =
            NewEvent::new(EventKind::DeviceAssigned, self.by.actor, message).device(&device.id);
        events::append(tx, self.by.at, &event)?;
        Ok(Some(action))
    }

    /// Has a device stop what a newer order makes needless.
    fn supersede(&self, device: &mut ActionDevice) -> Result<()> {
        for mut old in actions::active(self.tx, &device.id)? {
            let must_be_passed =
                sets::get(self.tx, old.set)?.is_some_and(|set| set.required_migration_step);
            if must_be_passed || old.is_canceling_or_canceled() {
                continue;
            }
            if self.tenant.autoclose {
                let message = "close obsolete action due to new update";
                let report = NewReport::of_server(ActionStatus::Canceled, message);
                actions::append(self.tx, old.id, &report, self.by.at)?;
                end_canceled(self.tx, device, &mut old, self.by)?;
            } else {
                let message = "cancel obsolete action due to new update";
                begin_cancel(self.tx, &mut old, message, self.by)?;
            }
        }
        Ok(())
    }
}

/// From now on the device is told to stop.
pub(super) fn begin_cancel(
    tx: &Transaction<'_>,
    action: &mut ActionRecord,
    message: &str,
    by: By<'_>,
) -> Result<()> {
    action.status = ActionStatus::Canceling;
    actions::update(tx, action, by)?;
    actions::append(tx, action.id, &NewReport::of_server(ActionStatus::Canceling, message), by.at)
}

/// An action has ended because it was cancelled: the device is to run what it was told before. The
/// device itself is not stored.
pub(in crate::fleet) fn end_canceled(
    tx: &Transaction<'_>,
    device: &mut ActionDevice,
    action: &mut ActionRecord,
    by: By<'_>,
) -> Result<()> {
    action.status = ActionStatus::Canceled;
    action.active = false;
    actions::update(tx, action, by)?;
    // The newest order that still stands, or else what it runs.
    let newest = actions::active(tx, &device.id)?
        .into_iter()
        .filter(|other| other.status != ActionStatus::Canceling)
        .max_by_key(|other| other.id);
    if let Some(newest) = newest {
        device.assigned = Some(newest.set);
        device.status = UpdateStatus::Pending;
    } else {
        device.assigned = device.installed;
        device.status = UpdateStatus::InSync;
    }
    super::orders::cancelled(tx, action.id, by)?;
    let message = format!("action {} of device {} was cancelled", action.id, device.id);
    let event = NewEvent::new(EventKind::AssignmentCancelled, by.actor, message).device(&device.id);
    events::append(tx, by.at, &event)
}
