//! One ECU's version report.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::fields::Fields;
use crate::json::Json;
use crate::{Dialect, Envelope, FormatError, Hashes, Sign, SigningFailed, format_time, parse_time};

/// What is installed on an ECU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledImage {
    /// The target's path.
    pub filepath: String,
    /// Length in bytes.
    pub length: u64,
    /// Hashes; for an OSTree commit, sha256 is the commit.
    pub hashes: Hashes,
}

impl InstalledImage {
    /// What is reported before the first installation: the name `unknown` and the hash of nothing.
    #[must_use]
    pub fn unknown() -> Self {
        Self { filepath: "unknown".to_owned(), length: 0, hashes: Hashes::of(b"") }
    }
}

/// How an installation on one ECU went, as older clients tell it in that ECU's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationResult {
    /// The correlation, or the client's own name for the installation.
    pub id: String,
    /// 0 and 1 (installed already) are successes.
    pub code: i64,
    /// For people.
    pub text: String,
}

impl OperationResult {
    /// Whether the installation succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.code, 0 | 1)
    }

    /// From a report's `custom`; anything else that stands there is the client's own business.
    fn of_custom(custom: &Value) -> Option<Self> {
        let result = custom.get("operation_result")?;
        Some(Self {
            id: result.get("id")?.as_str()?.to_owned(),
            code: result.get("result_code")?.as_i64()?,
            text: result.get("result_text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    }
}

/// The signed part of an ECU's report.
#[derive(Debug, Clone, PartialEq)]
pub struct EcuVersionReport {
    /// The ECU.
    pub ecu_serial: String,
    /// What is installed.
    pub installed_image: InstalledImage,
    /// What looked like an attack since the last report; empty when nothing did.
    pub attacks_detected: String,
    /// The time of the ECU's trusted time source.
    pub timeserver_time: Timestamp,
    /// That time when the previous report was made.
    pub previous_timeserver_time: Timestamp,
    /// Rises with each report, so that an old one cannot be replayed.
    pub report_counter: Option<u64>,
    /// How the last installation went, from clients that tell it here.
    pub operation: Option<OperationResult>,
}

impl EcuVersionReport {
    /// A report without attacks, without time source, and with this counter.
    #[must_use]
    pub fn new(ecu_serial: &str, installed_image: InstalledImage, report_counter: u64) -> Self {
        Self {
            ecu_serial: ecu_serial.to_owned(),
            installed_image,
            attacks_detected: String::new(),
            timeserver_time: Timestamp::UNIX_EPOCH,
            previous_timeserver_time: Timestamp::UNIX_EPOCH,
            report_counter: Some(report_counter),
            operation: None,
        }
    }

    /// The report signed by the ECU's key.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, ecu: &dyn Sign) -> Result<Envelope, SigningFailed> {
        Envelope::sign(Dialect::Uptane, self.to_value(), &[ecu])
    }

    pub(crate) fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("report", value)?;
        let ecu_serial = fields.string("ecu_serial")?;
        let mut image = Fields::of("installed_image", fields.take("installed_image")?)?;
        let filepath = image.string("filepath")?;
        let mut info = Fields::of("fileinfo", image.take("fileinfo")?)?;
        let length = info.unsigned("length")?;
        let hashes = Hashes::from_members(info.object("hashes")?)?;
        let attacks_detected = fields.optional_string("attacks_detected")?.unwrap_or_default();
        let mut time = |name| match fields.optional_string(name)? {
            Some(text) => parse_time(name, &text),
            None => Ok(Timestamp::UNIX_EPOCH),
        };
        Ok(Self {
            ecu_serial,
            installed_image: InstalledImage { filepath, length, hashes },
            attacks_detected,
            timeserver_time: time("timeserver_time")?,
            previous_timeserver_time: time("previous_timeserver_time")?,
            report_counter: counter(fields.take_optional("report_counter"))?,
            operation: fields
                .take_optional("custom")
                .and_then(|custom| OperationResult::of_custom(&custom.into_value())),
        })
    }

    fn to_value(&self) -> Value {
        let image = &self.installed_image;
        let mut members = Map::new();
        members.insert("attacks_detected".to_owned(), self.attacks_detected.as_str().into());
        members.insert("ecu_serial".to_owned(), self.ecu_serial.as_str().into());
        let image = json!({
            "filepath": image.filepath,
            "fileinfo": { "length": image.length, "hashes": image.hashes.to_value() },
        });
        members.insert("installed_image".to_owned(), image);
        members.insert("timeserver_time".to_owned(), format_time(self.timeserver_time).into());
        let previous = format_time(self.previous_timeserver_time);
        members.insert("previous_timeserver_time".to_owned(), previous.into());
        if let Some(counter) = self.report_counter {
            members.insert("report_counter".to_owned(), counter.to_string().into());
        }
        Value::Object(members)
    }
}

/// aktualizr writes the counter as text; a number is understood too.
fn counter(value: Option<Json<'_>>) -> Result<Option<u64>, FormatError> {
    let number = match value {
        None => return Ok(None),
        Some(Json::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
    };
    let number = number.ok_or_else(|| FormatError::field("report_counter", "is not a number"))?;
    Ok(Some(number))
}
