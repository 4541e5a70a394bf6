//! Vehicle manifests: what a vehicle reports about each of its ECUs, signed twice.
//!
//! ```text
//! {"signatures": […by the primary…],
//!  "signed": {"primary_ecu_serial": SERIAL,
//!             "ecu_version_manifests": {SERIAL: {"signatures": […by that ECU…], "signed": REPORT}},
//!             "installation_report"?: {…}, "custom"?: {…}}}
//! REPORT = {"ecu_serial", "installed_image": {"filepath", "fileinfo": {"length", "hashes"}},
//!           "attacks_detected", "timeserver_time", "previous_timeserver_time",
//!           "report_counter"?: "NUMBER"}
//! ```
//! The form is aktualizr's; the canonical JSON and the signatures are those of the Uptane dialect.
//! Older clients are understood too: they send the reports as a list, `ecu_version_manifest`, and
//! tell in each of them how its last installation went, as `custom.operation_result`.

mod installation;
mod report;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use installation::{InstallationReport, InstallationResult};
pub use report::{EcuVersionReport, InstalledImage, OperationResult};

use crate::envelope::Opened;
use crate::fields::Fields;
use crate::json::Json;
use crate::{
    Dialect, Envelope, FormatError, PublicKey, Reason, Refusal, Repository, Sign, Signature,
    SigningFailed, Verified, VerifySignature,
};

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST: usize = 4 << 20;

/// A vehicle's report, its ECUs' reports still in their signed form.
#[derive(Debug, Clone, PartialEq)]
pub struct VehicleManifest {
    /// The primary, whose key signs the whole.
    pub primary_ecu_serial: String,
    /// ECU serial → that ECU's signed report.
    pub ecu_version_manifests: BTreeMap<String, Envelope>,
    /// How the last installation went, after there was one.
    pub installation_report: Option<InstallationReport>,
    /// What is wrong with an installation report that cannot be read. It is no reason to refuse
    /// what the ECUs say.
    pub report_problem: Option<String>,
    /// What the vehicle adds.
    pub custom: Option<Value>,
}

/// An ECU as the Director knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredEcu {
    /// The key that signs its reports.
    pub key: PublicKey,
    /// The highest report counter seen. The primary must come with a higher one. A secondary may
    /// come with the same again: a primary that cannot reach it repeats what it said last.
    pub last_counter: Option<u64>,
}

/// A manifest whose signatures and counters are right.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestContents {
    /// The primary.
    pub primary_ecu_serial: String,
    /// ECU serial → its report.
    pub reports: BTreeMap<String, EcuVersionReport>,
    /// How the last installation went.
    pub installation_report: Option<InstallationReport>,
    /// What is wrong with an installation report that cannot be read.
    pub report_problem: Option<String>,
    /// What the vehicle adds.
    pub custom: Option<Value>,
}

impl VehicleManifest {
    /// A manifest without installation report.
    #[must_use]
    pub fn new(primary_ecu_serial: &str) -> Self {
        Self {
            primary_ecu_serial: primary_ecu_serial.to_owned(),
            ecu_version_manifests: BTreeMap::new(),
            installation_report: None,
            report_problem: None,
            custom: None,
        }
    }

    /// The manifest signed by the primary's key, ready to be sent.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, primary: &dyn Sign) -> Result<Vec<u8>, SigningFailed> {
        let failed = || SigningFailed { key_id: primary.public_key().key_id(Dialect::Uptane) };
        let envelope = Envelope::sign(Dialect::Uptane, self.to_value(), &[primary])?;
        envelope.to_bytes(Dialect::Uptane).map_err(|_| failed())
    }

    /// Verifies a manifest: signed by its primary, each report signed by its ECU, all of them
    /// registered, and each report newer than the last.
    ///
    /// # Errors
    /// A [`Refusal`] named `malformed`, `wrong-ecu`, `bad-signature` or `replayed-report`.
    pub fn verify(
        bytes: &[u8],
        registered: &BTreeMap<String, RegisteredEcu>,
        verifier: &dyn VerifySignature,
    ) -> Result<Verified<ManifestContents>, Refusal> {
        Self::check(bytes, registered, verifier).map(Verified::new).map_err(|reason| Refusal {
            repository: Repository::Director,
            subject: "vehicle manifest".to_owned(),
            reason,
        })
    }

    fn check(
        bytes: &[u8],
        registered: &BTreeMap<String, RegisteredEcu>,
        verifier: &dyn VerifySignature,
    ) -> Result<ManifestContents, Reason> {
        let Opened { signatures, signed, message } =
            Opened::parse(Dialect::Uptane, bytes, MAX_MANIFEST)?;
        let manifest = Self::from_json(signed)?;
        let primary = manifest.primary_ecu_serial;
        check_signature(&signatures, &message, &primary, registered, verifier)?;
        let mut reports = BTreeMap::new();
        for (serial, signed) in manifest.ecu_version_manifests {
            let message = signed.signed_bytes(Dialect::Uptane)?;
            let ecu = check_signature(&signed.signatures, &message, &serial, registered, verifier)?;
            let report = EcuVersionReport::from_json(signed.signed.into())?;
            if report.ecu_serial != serial {
                return Err(Reason::WrongEcu { ecu: report.ecu_serial });
            }
            // An ECU that counted once always counts.
            let found = report.report_counter.unwrap_or(0);
            let is_old = |last: u64| found < last || (found == last && serial == primary);
            if let Some(last) = ecu.last_counter.filter(|last| is_old(*last)) {
                return Err(Reason::ReplayedReport { ecu: serial, last, found });
            }
            reports.insert(serial, report);
        }
        Ok(ManifestContents {
            primary_ecu_serial: primary,
            reports,
            installation_report: manifest.installation_report,
            report_problem: manifest.report_problem,
            custom: manifest.custom,
        })
    }

    /// Reads the signed part of a manifest, without checking signatures.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn from_value(value: Value) -> Result<Self, FormatError> {
        Self::from_json(value.into())
    }

    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("manifest", value)?;
        let primary_ecu_serial = fields.string("primary_ecu_serial")?;
        let ecu_version_manifests = read_reports(&mut fields)?;
        let report = fields
            .take_optional("installation_report")
            .filter(|value| !matches!(value, Json::Null))
            .map(InstallationReport::from_json)
            .transpose();
        let (installation_report, report_problem) = match report {
            Ok(report) => (report, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let custom = fields.take_optional("custom").map(Json::into_value);
        Ok(Self {
            primary_ecu_serial,
            ecu_version_manifests,
            installation_report,
            report_problem,
            custom,
        })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        let ecus = self.ecu_version_manifests.iter();
        let ecus = ecus.map(|(serial, signed)| (serial.clone(), signed.to_value(Dialect::Uptane)));
        members.insert("primary_ecu_serial".to_owned(), self.primary_ecu_serial.as_str().into());
        members.insert("ecu_version_manifests".to_owned(), Value::Object(ecus.collect()));
        if let Some(report) = &self.installation_report {
            members.insert("installation_report".to_owned(), report.to_value());
        }
        if let Some(custom) = &self.custom {
            members.insert("custom".to_owned(), custom.clone());
        }
        Value::Object(members)
    }
}

/// The reports, by serial: a map today, a list once.
fn read_reports(fields: &mut Fields<'_>) -> Result<BTreeMap<String, Envelope>, FormatError> {
    const LIST: &str = "ecu_version_manifest";
    let Some(list) = fields.take_optional(LIST) else {
        let reports = fields.object("ecu_version_manifests")?.into_iter();
        return reports
            .map(|(serial, value)| {
                let signed = Envelope::from_json(Dialect::Uptane, value)?;
                Ok((serial.into_owned(), signed))
            })
            .collect();
    };
    let Json::Array(list) = list else {
        return Err(FormatError::field(LIST, "is no list"));
    };
    let mut reports = BTreeMap::new();
    for value in list {
        let envelope = Envelope::from_json(Dialect::Uptane, value)?;
        let serial = envelope.signed.get("ecu_serial").and_then(Value::as_str);
        let serial =
            serial.ok_or_else(|| FormatError::Missing { field: "ecu_serial".to_owned() })?;
        if reports.insert(serial.to_owned(), envelope.clone()).is_some() {
            return Err(FormatError::field(LIST, "has an ECU twice"));
        }
    }
    Ok(reports)
}

/// Whether the registered key of `serial` made one of the signatures; its key id is not believed.
fn check_signature<'a>(
    signatures: &[Signature],
    message: &[u8],
    serial: &str,
    registered: &'a BTreeMap<String, RegisteredEcu>,
    verifier: &dyn VerifySignature,
) -> Result<&'a RegisteredEcu, Reason> {
    let ecu = registered.get(serial).ok_or_else(|| Reason::WrongEcu { ecu: serial.to_owned() })?;
    let is_signed = signatures.iter().any(|signature| {
        signature.fits(Dialect::Uptane, ecu.key.key_type())
            && verifier.verify(&ecu.key, message, &signature.bytes)
    });
    if is_signed { Ok(ecu) } else { Err(Reason::BadSignature { ecu: serial.to_owned() }) }
}
