//! Judging what devices report: the signed vehicle manifest.
//!
//! A manifest is accepted when the primary component signed it, every component signed its own
//! report, and the counters rose. What changed is stored in one transaction together with what
//! it means for the device's assignment: the assignment has succeeded when every component it
//! names runs what it was to run, and failed when the device says so. A manifest that changes
//! nothing writes nothing.
//!
//! Devices tell how an installation went in one of three forms: the installation report of the
//! vehicle, or, older, a result in each component's report; what cannot be read ends the
//! assignment as failed, for the device believes that it has reported.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::{EventKind, InstallReport, RolloutDeviceState};
use updraft_crypto::Verifier;
use updraft_error::Classify as _;
use updraft_tuf::PublicKey;
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, ManifestContents, RegisteredEcu,
    VehicleManifest,
};

use super::Fleet;
use super::reconcile::outcome::{self, Outcome};
use crate::error::{Error, Result};
use crate::names::MAX_TARGET_NAME;
use crate::storage::devices::{self, ComponentRecord, DeviceRecord};
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
    /// Judges a manifest and stores what changed.
    pub fn receive_manifest(&self, device: &str, bytes: &[u8]) -> Result<()> {
        let (record, components) = self.database.read("read a device", |reader| {
            Ok((devices::require(reader, device)?, devices::components(reader, device)?))
        })?;
        let contents = match self.verify_manifest(&record, &components, bytes) {
            Ok(contents) => contents,
            Err(error) => {
                self.note_refused(device, &error)?;
                return Err(error);
            }
        };
        let changed = changes(&components, &contents);
        let report = installation_report(&components, &contents);
        let fulfils = self.database.read("read a device's assignment", |reader| {
            let active = rollouts::active(reader, device)?;
            active.map_or(Ok(false), |member| runs_assignment(reader, device, &member))
        })?;
        let problem = contents.report_problem.as_deref();
        if changed.is_empty() && report.is_none() && problem.is_none() && !fulfils {
            return Ok(());
        }
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
            problem.map_or(Ok(()), |problem| end_unreadable(tx, device, problem, now))
        })?;
        self.kick();
        Ok(())
    }

    fn verify_manifest(
        &self,
        record: &DeviceRecord,
        components: &[ComponentRecord],
        bytes: &[u8],
    ) -> Result<ManifestContents> {
        let device = &record.id;
        let rejected = |code: &'static str, reason: String| Error::Rejected {
            code,
            what: "the manifest",
            reason,
        };
        let Some(primary) = &record.primary_serial else {
            return Err(rejected(
                "missing_ecu",
                format!("device {device} has not registered its components"),
            ));
        };
        let mut registered = BTreeMap::new();
        for component in components {
            let key = public_key(component)?;
            let unwritten = self.seen.counter(device, &component.serial);
            let last_counter = component.report_counter.max(unwritten);
            registered.insert(component.serial.clone(), RegisteredEcu { key, last_counter });
        }
        let contents = VehicleManifest::verify(bytes, &registered, &Verifier)
            .map_err(|refusal| {
                if refusal.name() == "malformed" {
                    return Error::invalid("the manifest", crate::error::chain(&refusal));
                }
                let code = match refusal.name() {
                    "replayed-report" => "manifest_replayed",
                    "wrong-ecu" => "wrong_ecu",
                    _ => "bad_signature",
                };
                rejected(code, crate::error::chain(&refusal))
            })?
            .into_inner();
        if contents.primary_ecu_serial != *primary {
            return Err(rejected("wrong_ecu", format!("its primary component is not {primary}")));
        }
        let report = contents.reports.get(primary).ok_or_else(|| {
            rejected("wrong_ecu", format!("it has no report of its primary component {primary}"))
        })?;
        if report.report_counter.is_none() {
            return Err(rejected(
                "manifest_replayed",
                "the primary component's report has no counter".to_owned(),
            ));
        }
        for (serial, report) in &contents.reports {
            let Some(counter) = report.report_counter else { continue };
            // A secondary's report may be quoted again, by a primary whose own counter rose.
            if !self.note_counter(device, serial, counter) && serial == primary {
                let reason = format!("counter {counter} of {serial} was used before");
                return Err(rejected("manifest_replayed", reason));
            }
        }
        Ok(contents)
    }

    fn note_refused(&self, device: &str, error: &Error) -> Result<()> {
        tracing::warn!(device, %error, kind = %error.kind(), "a manifest was refused");
        let now = self.now();
        let actor = format!("device:{device}");
        let reason = match error {
            Error::Rejected { reason, .. } | Error::Invalid { reason, .. } => reason.clone(),
            other => crate::error::chain(other),
        };
        let message = format!("a manifest of device {device} was refused: {reason}");
        let event = NewEvent::new(EventKind::ManifestRefused, &actor, message)
            .device(device)
            .data(serde_json::json!({ "code": error.code() }));
        self.database.write("append an event", |tx| events::append(tx, now, &event))
    }
}

pub(super) fn public_key(component: &ComponentRecord) -> Result<PublicKey> {
    let stored = |reason: String| Error::Stored { what: "a component's key", reason };
    let json = serde_json::from_str(&component.key).map_err(|error| stored(error.to_string()))?;
    PublicKey::from_json(&json)
        .map_err(|error| stored(error.to_string()))?
        .ok_or_else(|| stored("its type is unknown".to_owned()))
}

/// A component whose report differs from what is stored, before and after.
struct Change {
    before: ComponentRecord,
    after: ComponentRecord,
}

fn changes(components: &[ComponentRecord], contents: &ManifestContents) -> Vec<Change> {
    components
        .iter()
        .filter_map(|before| {
            let report = contents.reports.get(&before.serial)?;
            let after = reported(before, report);
            let changed = before.image != after.image || before.attacks != after.attacks;
            changed.then(|| Change { before: before.clone(), after })
        })
        .collect()
}

fn reported(before: &ComponentRecord, report: &EcuVersionReport) -> ComponentRecord {
    let image = &report.installed_image;
    let sha256 = image.hashes.sha256().unwrap_or_default().to_owned();
    ComponentRecord {
        image: Some((cut(&image.filepath, MAX_TARGET_NAME), sha256, image.length)),
        attacks: cut(&report.attacks_detected, MAX_TEXT),
        report_counter: report.report_counter.max(before.report_counter),
        ..before.clone()
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

/// How the installation went, in whichever form the device tells it.
fn installation_report(
    components: &[ComponentRecord],
    contents: &ManifestContents,
) -> Option<InstallationReport> {
    if contents.installation_report.is_some() || contents.report_problem.is_some() {
        return contents.installation_report.clone();
    }
    let mut correlation = String::new();
    let (mut items, mut codes, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for component in components {
        let report = contents.reports.get(&component.serial);
        let Some(operation) = report.and_then(|one| one.operation.as_ref()) else { continue };
        // Clients that number their installations themselves do not name a correlation.
        if operation.id.starts_with("urn:") {
            correlation.clone_from(&operation.id);
        }
        let (code, text) = (operation.code.to_string(), operation.text.clone());
        let success = operation.is_success();
        if !success {
            codes.push(format!("{}:{code}", component.hardware_id));
            texts.push(text.clone());
        }
        let result = InstallationResult { success, code, description: text };
        items.push((component.serial.clone(), result));
    }
    if items.is_empty() {
        return None;
    }
    let result = if codes.is_empty() {
        InstallationResult::ok("")
    } else {
        InstallationResult::failed(&codes.join("|"), &texts.join("; "))
    };
    Some(InstallationReport {
        correlation_id: correlation,
        result,
        raw_report: String::new(),
        items,
    })
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

fn runs_assignment(reader: &Connection, device: &str, member: &MemberRecord) -> Result<bool> {
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
fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
