//! Storing what devices report.
//!
//! What changed is stored in one transaction together with what it means for the device's
//! assignment: the assignment has succeeded when every component it names runs what it was to run,
//! and failed when the device says so. A manifest that changes nothing writes nothing.
//!
//! Devices tell how an installation went in one of three forms: the installation report of the
//! vehicle, or, older, a result in each component's report; what cannot be read ends the
//! assignment as failed, for the device believes that it has reported.

use jiff::Timestamp;
use updraft_api::{EventKind, InstallReport, RolloutDeviceState};
use updraft_tuf::manifest::InstallationReport;

use super::Fleet;
use super::manifest::{Change, Judgement, News};
use super::reconcile::outcome::{self, Outcome};
use crate::error::Result;
use crate::storage::devices;
use crate::storage::events::{self, NewEvent};
use crate::storage::installations;
use crate::storage::rollouts::{self, AssignedTarget, MemberRecord};
use crate::storage::sql::{Connection, Transaction};

/// The most that is kept of a text that a device reports.
pub(super) const MAX_TEXT: usize = 2048;
/// A result code that means "go on waiting": the device must restart first.
const NEED_COMPLETION: &str = "NEED_COMPLETION";
/// How correlation ids of updates from a medium begin.
const MEDIUM: &str = "urn:tdx-ota:lockbox:";

impl Fleet {
    /// Stores what a manifest says that is new; why it was refused is its error.
    pub fn act_on_manifest(&self, device: &str, judgement: Judgement) -> Result<()> {
        let news = match judgement {
            Judgement::Known => return Ok(()),
            Judgement::News(news) => news,
            Judgement::Refused(error) => {
                self.note_refused(device, &error)?;
                return Err(error);
            }
        };
        let News { changed, report, problem } = *news;
        let now = self.now();
        self.database.write_together("store a report", |tx| {
            let active = rollouts::active(tx, device)?;
            let assigned = active.as_ref().and_then(|member| member.assignment.as_ref());
            let assigned = assigned.map_or(&[][..], |assignment| &assignment.targets);
            // What a medium brought was asked for by whoever signed the medium.
            let of_medium =
                report.as_ref().is_some_and(|report| report.correlation_id.starts_with(MEDIUM));
            for change in &changed {
                store_change(tx, device, change, assigned, of_medium, now)?;
            }
            if let Some(report) = &report {
                store_report(tx, device, report, now)?;
            }
            judge_assignment(tx, device, report.as_ref(), now)?;
            problem.as_deref().map_or(Ok(()), |problem| end_unreadable(tx, device, problem, now))
        })?;
        self.kick();
        Ok(())
    }
}

fn store_change(
    tx: &Transaction<'_>,
    device: &str,
    change: &Change,
    assigned: &[AssignedTarget],
    of_medium: bool,
    now: Timestamp,
) -> Result<()> {
    devices::set_reported(tx, &change.after)?;
    let actor = format!("device:{device}");
    let serial = &change.after.serial;
    if change.before.image != change.after.image
        && let Some((filepath, sha256, _)) = &change.after.image
    {
        let message = format!("component {serial} of device {device} runs {filepath}");
        let event = NewEvent::new(EventKind::ImageChanged, &actor, message)
            .device(device)
            .data(serde_json::json!({ "filepath": filepath, "sha256": sha256, "serial": serial }));
        events::append(tx, now, &event)?;
        let is_assigned = assigned.iter().any(|target| {
            target.serial == *serial && target.filepath == *filepath && target.sha256 == *sha256
        });
        // What a component runs when it first reports came with it from the factory.
        if change.before.image.is_some() && !is_assigned && !of_medium {
            let message = format!("component {serial} of device {device} runs {filepath} unasked");
            let event = NewEvent::new(EventKind::ImageUnexpected, &actor, message)
                .device(device)
                .data(serde_json::json!({
                    "filepath": filepath, "sha256": sha256, "serial": serial,
                }));
            events::append(tx, now, &event)?;
        }
    }
    if change.before.attacks != change.after.attacks && !change.after.attacks.is_empty() {
        let message = format!("component {serial} of device {device} reports an attack");
        let event = NewEvent::new(EventKind::AttackReported, &actor, message)
            .device(device)
            .data(serde_json::json!({ "attacks": change.after.attacks, "serial": serial }));
        events::append(tx, now, &event)?;
    }
    Ok(())
}

fn store_report(
    tx: &Transaction<'_>,
    device: &str,
    report: &InstallationReport,
    now: Timestamp,
) -> Result<()> {
    let stored = InstallReport {
        received_at: now,
        correlation_id: cut(&report.correlation_id, MAX_TEXT),
        success: report.result.success,
        code: cut(&report.result.code, MAX_TEXT),
        description: cut(&report.result.description, MAX_TEXT),
    };
    let known = devices::require(tx, device)?.last_report;
    let same = known
        .is_some_and(|known| InstallReport { received_at: stored.received_at, ..known } == stored);
    if same {
        return Ok(());
    }
    devices::set_last_report(tx, device, &stored)?;
    installations::insert(tx, device, &stored, &report.to_value())?;
    let outcome = if stored.success { "success" } else { "failure" };
    let message = format!("device {device} reports {outcome}: {}", stored.code);
    let actor = format!("device:{device}");
    let event = NewEvent::new(EventKind::InstallReported, &actor, message)
        .device(device)
        .data(crate::storage::values::json("store a report", &stored).map(Into::into)?);
    events::append(tx, now, &event)
}

/// Ends the assignment of a device that has told how it went in words that nobody understands.
fn end_unreadable(tx: &Transaction<'_>, device: &str, problem: &str, now: Timestamp) -> Result<()> {
    let actor = format!("device:{device}");
    let message = format!("the installation report of device {device} cannot be read: {problem}");
    let event = NewEvent::new(EventKind::ReportUnreadable, &actor, cut(&message, MAX_TEXT));
    events::append(tx, now, &event.device(device))?;
    let Some(member) = rollouts::active(tx, device)? else { return Ok(()) };
    let reason = format!("its installation report cannot be read: {problem}");
    end(tx, &member, Outcome::Failed(&cut(&reason, MAX_TEXT)), now)
}

/// What the stored reports mean for the device's assignment.
fn judge_assignment(
    tx: &Transaction<'_>,
    device: &str,
    report: Option<&InstallationReport>,
    now: Timestamp,
) -> Result<()> {
    let Some(member) = rollouts::active(tx, device)? else { return Ok(()) };
    let Some(assignment) = &member.assignment else { return Ok(()) };
    // An empty correlation is that of a device that does not tell; it can only mean this one.
    let about_this = report.filter(|report| {
        report.correlation_id.is_empty() || report.correlation_id == assignment.correlation
    });
    // Of what it ran before, a device says nothing new until it has fetched that it is to go back.
    let is_back = member.state == RolloutDeviceState::RollingBack;
    if is_back && assignment.started_at.is_none() {
        return Ok(());
    }
    if let Some(report) = about_this
        && !report.result.success
        && !report.result.code.contains(NEED_COMPLETION)
    {
        let reason = format!("{}: {}", report.result.code, report.result.description);
        return end(tx, &member, Outcome::Failed(&cut(&reason, MAX_TEXT)), now);
    }
    if runs_assignment(tx, device, &member)? {
        return end(tx, &member, Outcome::Runs, now);
    }
    if about_this.is_some_and(|report| report.result.success) {
        let reason = "the device reports success, but does not run what it was assigned";
        return end(tx, &member, Outcome::Failed(reason), now);
    }
    Ok(())
}

pub(super) fn runs_assignment(
    reader: &Connection,
    device: &str,
    member: &MemberRecord,
) -> Result<bool> {
    let Some(assignment) = &member.assignment else { return Ok(false) };
    let components = devices::components(reader, device)?;
    Ok(assignment.targets.iter().all(|target| {
        components.iter().any(|component| {
            component.serial == target.serial
                && component.image.as_ref().is_some_and(|(filepath, sha256, _)| {
                    *filepath == target.filepath && *sha256 == target.sha256
                })
        })
    }))
}

pub(super) fn end(
    tx: &Transaction<'_>,
    member: &MemberRecord,
    outcome: Outcome<'_>,
    now: Timestamp,
) -> Result<()> {
    let device = &member.device;
    let (kind, message) = outcome::store(tx, member, outcome, now)?;
    let actor = format!("device:{device}");
    let event = NewEvent::new(kind, &actor, message).device(device).rollout(&member.rollout);
    events::append(tx, now, &event)
}

/// The beginning of a text that a device sent.
pub(super) fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
