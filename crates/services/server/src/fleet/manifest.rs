//! Judging the signed vehicle manifest of a device.
//!
//! A manifest is accepted when the primary component signed it, every component signed its own
//! report, and the counters rose. To judge one only reads: most say what is known, and are answered
//! where they were read.

use std::collections::BTreeMap;

use updraft_api::EventKind;
use updraft_crypto::Verifier;
use updraft_error::Classify as _;
use updraft_tuf::PublicKey;
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, ManifestContents, RegisteredEcu,
    VehicleManifest,
};

use super::Fleet;
use super::reports::{MAX_TEXT, cut, runs_assignment};
use crate::error::{Error, Result};
use crate::names::MAX_TARGET_NAME;
use crate::storage::device_logs;
use crate::storage::devices::{self, ComponentRecord, DeviceRecord};
use crate::storage::events::{self, NewEvent};
use crate::storage::rollouts;

/// What a manifest is.
#[derive(Debug)]
pub enum Judgement {
    /// It says what is known.
    Known,
    /// It says something new, which is to be stored.
    News(Box<News>),
    /// It is not what the device's components have signed, or was used before.
    Refused(Error),
}

/// What a manifest says that is not stored yet.
#[derive(Debug)]
pub struct News {
    pub(super) changed: Vec<Change>,
    pub(super) report: Option<InstallationReport>,
    pub(super) problem: Option<String>,
}

impl Fleet {
    /// Judges a manifest and stores what changed.
    pub fn receive_manifest(&self, device: &str, bytes: &[u8]) -> Result<()> {
        let (judgement, _) = self.judge_manifest(device, bytes)?;
        self.act_on_manifest(device, judgement)
    }

    /// Judges a manifest, and stores nothing: counters that rose are noted in memory. Beside it the number of the log that the device is to
    /// send.
    pub fn judge_manifest(&self, device: &str, bytes: &[u8]) -> Result<(Judgement, Option<u64>)> {
        let (record, components, fulfils, log) = self.database.read("read a device", |reader| {
            let active = rollouts::active(reader, device)?;
            let fulfils = active.map(|member| runs_assignment(reader, device, &member));
            Ok((
                devices::require(reader, device)?,
                devices::components(reader, device)?,
                fulfils.transpose()?.unwrap_or(false),
                device_logs::wanted(reader, device)?,
            ))
        })?;
        let contents = match self.verify_manifest(&record, &components, bytes) {
            Ok(contents) => contents,
            Err(error) => return Ok((Judgement::Refused(error), None)),
        };
        let news = News {
            changed: changes(&components, &contents),
            report: installation_report(&components, &contents),
            problem: contents.report_problem,
        };
        let is_known =
            news.changed.is_empty() && news.report.is_none() && news.problem.is_none() && !fulfils;
        Ok((if is_known { Judgement::Known } else { Judgement::News(Box::new(news)) }, log))
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

    pub(super) fn note_refused(&self, device: &str, error: &Error) -> Result<()> {
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
#[derive(Debug)]
pub(super) struct Change {
    pub(super) before: ComponentRecord,
    pub(super) after: ComponentRecord,
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
