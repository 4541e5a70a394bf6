//! What this vehicle reports about itself, signed by its ECU's key.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use updraft_task::Context;
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, InstalledImage, VehicleManifest,
};
use updraft_tuf::{Ecu, Envelope, Hashes};

use crate::boot::Running;
use crate::keys::EcuKey;
use crate::library::LibraryEvent;
use crate::ostree::UNKNOWN;
use crate::secondaries::Secondaries;
use crate::session::Session;
use crate::store::Store;
use crate::{Error, Result};

/// How one installation went, as it waits in the state for the server to take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// The server's name for the assignment; may be empty.
    pub(crate) correlation_id: String,
    /// Whether the target is booted and confirmed.
    pub(crate) success: bool,
    /// `OK`, `DOWNLOAD_FAILED`, `VERIFICATION_FAILED`, `INSTALL_FAILED`, `BOOT_FAILED`,
    /// `HEALTH_CHECK_FAILED` or `ROLLED_BACK`.
    pub(crate) code: String,
    /// What happened, for people.
    pub(crate) description: String,
    /// What programs around the agent want to be told with it.
    #[serde(default, rename = "raw_report", skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// How it went on each ECU, where it is about more than the primary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<ReportItem>,
}

/// How an installation went on one ECU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportItem {
    pub(crate) serial: String,
    pub(crate) hardware_id: String,
    pub(crate) success: bool,
    pub(crate) code: String,
    pub(crate) description: String,
}

impl ReportItem {
    fn result(&self) -> InstallationResult {
        if self.success {
            InstallationResult::ok(&self.description)
        } else {
            InstallationResult::failed(&self.code, &self.description)
        }
    }
}

impl Report {
    /// The report as the state keeps it.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of strings always has a JSON form")
    }

    pub(crate) fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| Error::Damaged { what: "the installation report" })
    }

    fn to_wire(&self, ecu: &Ecu) -> InstallationReport {
        if !self.items.is_empty() {
            return self.of_ecus();
        }
        let of_ecu = if self.success {
            InstallationResult::ok(&self.description)
        } else {
            InstallationResult::failed(&self.code, &self.description)
        };
        let of_vehicle = if self.success {
            of_ecu.clone()
        } else {
            let code = format!("{}:{}", ecu.hardware_id, self.code);
            InstallationResult::failed(&code, &self.description)
        };
        InstallationReport {
            correlation_id: self.correlation_id.clone(),
            result: of_vehicle,
            raw_report: self.raw.clone().unwrap_or_else(|| self.description.clone()),
            items: vec![(ecu.serial.clone(), of_ecu)],
        }
    }

    /// The report about several ECUs. The vehicle's code names those that failed by their hardware.
    fn of_ecus(&self) -> InstallationReport {
        let failed = self.items.iter().filter(|item| !item.success);
        let codes: Vec<_> =
            failed.map(|item| format!("{}:{}", item.hardware_id, item.code)).collect();
        let result = if self.success {
            InstallationResult::ok(&self.description)
        } else {
            InstallationResult::failed(&codes.join("|"), &self.description)
        };
        InstallationReport {
            correlation_id: self.correlation_id.clone(),
            result,
            raw_report: self.description.clone(),
            items: self.items.iter().map(|item| (item.serial.clone(), item.result())).collect(),
        }
    }
}

/// What was confirmed last, or what runs in its place: somebody may have gone back by hand. While an
/// update is in progress what runs is not confirmed yet.
fn installed(store: &Store, running: &Running) -> Result<InstalledImage> {
    let Some(installed) = store.installed()? else { return Ok(InstalledImage::unknown()) };
    let is_other = match running {
        Running::AsConfirmed => false,
        Running::Image(running) => *running != installed.sha256,
        Running::Unknown => true,
    };
    if is_other && store.update()?.is_none() {
        let Running::Image(running) = running else { return Ok(InstalledImage::unknown()) };
        let mut history = store.history()?.into_iter().rev();
        let (filepath, length) = history
            .find(|confirmed| confirmed.sha256 == *running)
            .map_or_else(|| (UNKNOWN.to_owned(), 0), |it| (it.filepath, it.length));
        return Ok(InstalledImage { filepath, length, hashes: Hashes::from_sha256(running) });
    }
    Ok(InstalledImage {
        filepath: installed.filepath,
        length: installed.length,
        hashes: Hashes::from_digest(&installed.sha256),
    })
}

/// A manifest that says what is installed, with a counter that was never used before.
pub(crate) fn signed(
    store: &Store,
    ecu: &Ecu,
    key: &EcuKey,
    running: &Running,
    report: Option<&str>,
    others: Vec<(String, Envelope)>,
    custom: Option<Value>,
) -> Result<Vec<u8>> {
    numbered(store, ecu, key, running, report, others, custom).map(|(_, bytes)| bytes)
}

/// A manifest with the report that waits, for a medium, and the counter in it. `events`: a list of
/// those that wait, which becomes the manifest's `custom.events`.
pub(crate) fn receipt(
    session: &Session,
    running: &Running,
    report: &str,
    events: &Value,
    others: Vec<(String, Envelope)>,
) -> Result<(u64, Vec<u8>)> {
    let Session { store, ecu, key, .. } = session;
    let custom = serde_json::json!({ "events": events });
    numbered(store, ecu, key, running, Some(report), others, Some(custom))
}

fn numbered(
    store: &Store,
    ecu: &Ecu,
    key: &EcuKey,
    running: &Running,
    report: Option<&str>,
    others: Vec<(String, Envelope)>,
    custom: Option<Value>,
) -> Result<(u64, Vec<u8>)> {
    let image = installed(store, running)?;
    let counter = store.next_report_counter()?;
    let version = EcuVersionReport::new(&ecu.serial, image, counter);
    let failed = |source: updraft_tuf::SigningFailed| Error::Below {
        what: "sign the manifest".to_owned(),
        kind: updraft_error::Kind::Unavailable,
        source: Box::new(source),
    };
    let mut manifest = VehicleManifest::new(&ecu.serial);
    let signed = version.sign(key).map_err(failed)?;
    manifest.ecu_version_manifests.extend(others);
    manifest.ecu_version_manifests.insert(ecu.serial.clone(), signed);
    manifest.installation_report =
        report.map(Report::from_json).transpose()?.map(|report| report.to_wire(ecu));
    manifest.custom = custom;
    Ok((counter, manifest.sign(key).map_err(failed)?))
}

/// Sends the manifest with the reports of all ECUs, with the installation report that waits, if one
/// does, and with what a program around the agent adds. Gives the number of the log that the server
/// wants.
pub(crate) fn send(
    ctx: &Context,
    session: &Session,
    running: &Running,
    secondaries: &mut Secondaries<'_>,
    custom: Option<Value>,
) -> Result<Option<u64>> {
    let mut counters = Vec::new();
    let mut others = Vec::new();
    for (serial, envelope, counter) in secondaries.reports(ctx)? {
        counters.push((serial.clone(), counter));
        others.push((serial, envelope));
    }
    let Session { store, ecu, key, watch, .. } = session;
    let report = store.report()?;
    let manifest = signed(store, ecu, key, running, report.as_deref(), others, custom)?;
    let sent = session.gateway.send_manifest(ctx, manifest);
    watch.tell(&LibraryEvent::PutManifestComplete { success: sent.is_ok() });
    let wanted_log = sent?;
    secondaries.reported(&counters)?;
    if let Some(report) = report {
        session.store.remove_report(&report)?;
    }
    Ok(wanted_log)
}
