//! What devices report of their actions.

mod together;
mod waiting;

pub(in crate::fleet) use waiting::Waiting;

use updraft_api::EventKind;
use updraft_hawkbit::ddi::{ActionFeedback, Execution, Finished, Handling};
use updraft_hawkbit::management::{ActionKind, ActionStatus, UpdateStatus};

use super::access::Presented;
use super::assignment::end_canceled;
use super::deployment::Orders;
use super::orders;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::reconcile::outcome::Outcome;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::actions::{self, ActionRecord, NewReport};
use crate::storage::hawkbit::devices::{self, ActionDevice};
use crate::storage::sql::Transaction;
use crate::storage::values;

/// The most reports of one action.
pub const MAX_REPORTS: u64 = 1000;
/// The most messages of one report.
pub const MAX_MESSAGES: usize = 50;
/// The most characters of the reason why a device failed.
const MAX_REASON: usize = 2048;
/// The most characters of a message that are kept.
const MAX_MESSAGE: usize = 4096;

impl Fleet {
    /// A device reports how far it is with what it was told to install.
    pub fn ddi_deployment_feedback(
        &self,
        id: &str,
        presented: &Presented,
        action: i64,
        feedback: &ActionFeedback,
    ) -> Result<()> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.note_seen(id);
        let actor = format!("device:{id}");
        let by = By { actor: &actor, at: now };
        self.write_for("store what a device reports", id, |tx| {
            take(tx, id, (action, feedback), by)
        })?;
        self.kick();
        Ok(())
    }

    /// A device reports whether it stopped.
    pub fn ddi_cancel_feedback(
        &self,
        id: &str,
        presented: &Presented,
        action: i64,
        feedback: &ActionFeedback,
    ) -> Result<()> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.note_seen(id);
        let actor = format!("device:{id}");
        let by = By { actor: &actor, at: now };
        self.write_for("store what a device reports", id, |tx| {
            let mut device = devices::require(tx, id)?;
            let mut action = actions::require(tx, id, action)?;
            if !action.active || action.status != ActionStatus::Canceling {
                let message = format!("action {} is not being cancelled", action.id);
                return Err(Error::hawkbit(Trouble::NotCancelable, message));
            }
            let finished = feedback.status.result.finished;
            let status = match feedback.status.execution {
                Execution::Closed if finished == Finished::Failure => ActionStatus::Error,
                Execution::Closed => ActionStatus::Canceled,
                Execution::Rejected => ActionStatus::CancelRejected,
                Execution::Canceled => ActionStatus::Warning,
                _ => ActionStatus::Running,
            };
            append(tx, &action, feedback, status, by, "The device reports on the cancellation.")?;
            match status {
                ActionStatus::Canceled => {
                    end_canceled(tx, &mut device, &mut action, by)?;
                    devices::update(tx, &device, None)
                }
                ActionStatus::Error | ActionStatus::CancelRejected => {
                    // It goes on with the update.
                    action.status = ActionStatus::Running;
                    actions::update(tx, &action, by)
                }
                _ => Ok(()),
            }
        })
    }
}

/// Stores a report of a device that is known.
fn take(
    tx: &Transaction<'_>,
    id: &str,
    (action, feedback): (i64, &ActionFeedback),
    by: By<'_>,
) -> Result<()> {
    let mut action = actions::require(tx, id, action)?;
    if !takes_reports(&action) {
        let message = format!("action {} has ended", action.id);
        return Err(Error::hawkbit(Trouble::Gone, message));
    }
    let status = deployment_status(&action, feedback, by.at);
    append(tx, &action, feedback, status, by, default_message(status))?;
    action.last_code = feedback.status.code.or(action.last_code);
    match status {
        ActionStatus::Finished => {
            let mut device = devices::require(tx, id)?;
            finish(tx, &mut device, &mut action, by)?;
            devices::update(tx, &device, None)?;
        }
        ActionStatus::Error => {
            let mut device = devices::require(tx, id)?;
            fail(tx, &mut device, &mut action, by)?;
            devices::update(tx, &device, None)?;
        }
        ActionStatus::Downloaded if action.kind == ActionKind::DownloadOnly => {
            let mut device = devices::require(tx, id)?;
            action.status = status;
            action.active = false;
            device.status = UpdateStatus::InSync;
            devices::update(tx, &device, None)?;
            actions::update(tx, &action, by)?;
            // More was not asked for.
            orders::ended(tx, action.id, Outcome::Runs, by)?;
        }
        // Said of an action, these change nothing about it.
        ActionStatus::Canceled | ActionStatus::Warning => {
            actions::update(tx, &action, by)?;
        }
        _ => {
            // What is to be stopped stays so until the device says that it has.
            if action.status != ActionStatus::Canceling {
                action.status = status;
            }
            actions::update(tx, &action, by)?;
            // Some begin without having asked what it is.
            orders::fetched(tx, action.id, by)?;
        }
    }
    Ok(())
}

/// Whether a device may still report of an action. One that was only to be downloaded has ended
/// with that, and its installation may be told afterwards.
fn takes_reports(action: &ActionRecord) -> bool {
    action.active
        || (action.kind == ActionKind::DownloadOnly && action.status == ActionStatus::Downloaded)
}

fn deployment_status(
    action: &ActionRecord,
    feedback: &ActionFeedback,
    now: jiff::Timestamp,
) -> ActionStatus {
    let failed = feedback.status.result.finished == Finished::Failure;
    match feedback.status.execution {
        Execution::Canceled => ActionStatus::Canceled,
        Execution::Rejected => ActionStatus::Warning,
        Execution::Closed if failed => ActionStatus::Error,
        // Some clients call a download a success when they were told not to install it: the device
        // does not run it, whatever it says.
        Execution::Closed if action.active && Orders::of(action, now).update == Handling::Skip => {
            ActionStatus::Downloaded
        }
        Execution::Closed => ActionStatus::Finished,
        Execution::Download => ActionStatus::Download,
        Execution::Downloaded => ActionStatus::Downloaded,
        Execution::Proceeding | Execution::Scheduled | Execution::Resumed => ActionStatus::Running,
    }
}

fn default_message(status: ActionStatus) -> &'static str {
    match status {
        ActionStatus::Canceled => "Target confirmed cancelation.",
        ActionStatus::Warning => "Target reported a warning.",
        ActionStatus::Error => "Target reported CLOSED with ERROR!",
        ActionStatus::Finished => "Target reported CLOSED with OK!",
        ActionStatus::Download => "Target reported that it is downloading.",
        ActionStatus::Downloaded => "Target reported that it has downloaded.",
        _ => "Target reported that it works on it.",
    }
}

/// Stores a report, as far as there is room; what ends an action always has room.
fn append(
    tx: &Transaction<'_>,
    action: &ActionRecord,
    feedback: &ActionFeedback,
    status: ActionStatus,
    by: By<'_>,
    default: &str,
) -> Result<()> {
    let report = report(feedback, status, default)?;
    let last = actions::last_of_reports(tx, action.id)?;
    let said = last.as_ref().map(|(last, _)| (last.status, last.code, last.messages.as_slice()));
    let reports = last.as_ref().map_or(0, |(_, reports)| *reports);
    if !is_news(action.id, &report, said, reports)? {
        return Ok(());
    }
    actions::append(tx, action.id, &report, by.at)
}

/// What a device said, as it is stored.
fn report(feedback: &ActionFeedback, status: ActionStatus, default: &str) -> Result<NewReport> {
    let details = feedback.status.details.as_deref().unwrap_or_default();
    if details.len() > MAX_MESSAGES {
        let message = format!("a report may have {MAX_MESSAGES} messages");
        return Err(Error::hawkbit(Trouble::Quota, message));
    }
    let mut messages: Vec<String> = details
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| text.chars().take(MAX_MESSAGE).collect())
        .collect();
    if messages.is_empty() {
        messages.push(format!("Update Server: {default}"));
    }
    if let Some(code) = feedback.status.code {
        messages.push(format!("Update Server: Device reported status code: {code}"));
    }
    let occurred_at = feedback.timestamp.filter(|millis| *millis > 0);
    Ok(NewReport { status, code: feedback.status.code, messages, occurred_at })
}

/// What the last report of an action said.
type Said<'a> = (ActionStatus, Option<i64>, &'a [String]);

/// Whether a report is to be stored: it says something new, and there is room for it.
fn is_news(action: i64, report: &NewReport, last: Option<Said<'_>>, reports: u64) -> Result<bool> {
    if is_final(report.status) {
        return Ok(true);
    }
    // A client that was told not to install yet says the same at each poll.
    if last == Some((report.status, report.code, report.messages.as_slice())) {
        return Ok(false);
    }
    if reports >= MAX_REPORTS {
        let message = format!("action {action} has {MAX_REPORTS} reports");
        return Err(Error::hawkbit(Trouble::Quota, message));
    }
    Ok(true)
}

fn is_final(status: ActionStatus) -> bool {
    matches!(status, ActionStatus::Finished | ActionStatus::Error)
}

/// The device runs what it was told.
pub(in crate::fleet) fn finish(
    tx: &Transaction<'_>,
    device: &mut ActionDevice,
    action: &mut ActionRecord,
    by: By<'_>,
) -> Result<()> {
    action.status = ActionStatus::Finished;
    action.active = false;
    actions::update(tx, action, by)?;
    device.installed = Some(action.set);
    device.installed_at = Some(by.at);
    // What it says about itself may be another thing now.
    device.request_attributes = true;
    let others = actions::active(tx, &device.id)?;
    if others.is_empty() {
        device.assigned = Some(action.set);
    }
    let in_sync = device.assigned == Some(action.set);
    device.status = if in_sync { UpdateStatus::InSync } else { UpdateStatus::Pending };
    if orders::ended(tx, action.id, Outcome::Runs, by)? {
        return Ok(());
    }
    let message = format!("device {} finished action {}", device.id, action.id);
    let event = NewEvent::new(EventKind::AssignmentSucceeded, by.actor, message).device(&device.id);
    events::append(tx, by.at, &event)
}

/// The device could not do it. It can be told the same set again.
pub(in crate::fleet) fn fail(
    tx: &Transaction<'_>,
    device: &mut ActionDevice,
    action: &mut ActionRecord,
    by: By<'_>,
) -> Result<()> {
    action.status = ActionStatus::Error;
    action.active = false;
    actions::update(tx, action, by)?;
    if device.assigned == Some(action.set) {
        device.assigned = None;
    }
    device.status = UpdateStatus::Error;
    let code = action.last_code.map(|code| format!(" with code {code}")).unwrap_or_default();
    let said = actions::last_report(tx, action.id)?.map(|report| report.messages.join("; "));
    let reason = said.unwrap_or_else(|| format!("it reports an error{code}"));
    let reason: String = reason.chars().take(MAX_REASON).collect();
    if orders::ended(tx, action.id, Outcome::Failed(&reason), by)? {
        return Ok(());
    }
    let message = format!("device {} failed action {}{code}", device.id, action.id);
    let event = NewEvent::new(EventKind::AssignmentFailed, by.actor, message)
        .device(&device.id)
        .data(serde_json::json!({ "action": action.id, "status": values::word(action.status) }));
    events::append(tx, by.at, &event)
}
