//! How an installation went, for the vehicle and for each ECU.

use serde_json::{Value, json};

use crate::FormatError;
use crate::fields::Fields;
use crate::json::Json;

/// The `content_type` of the one form that is in use.
const CONTENT_TYPE: &str = "application/vnd.com.here.otac.installationReport.v1";

/// Success or failure, with a code for programs and a description for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationResult {
    /// Whether it succeeded.
    pub success: bool,
    /// `OK`, `VERIFICATION_FAILED`, `INSTALL_FAILED`, `DOWNLOAD_FAILED`, …
    pub code: String,
    /// For people.
    pub description: String,
}

impl InstallationResult {
    /// Success.
    #[must_use]
    pub fn ok(description: &str) -> Self {
        Self { success: true, code: "OK".to_owned(), description: description.to_owned() }
    }

    /// A failure with a code.
    #[must_use]
    pub fn failed(code: &str, description: &str) -> Self {
        Self { success: false, code: code.to_owned(), description: description.to_owned() }
    }

    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("result", value)?;
        let success = fields
            .optional_bool("success")?
            .ok_or_else(|| FormatError::Missing { field: "success".to_owned() })?;
        let code = fields.string("code")?;
        let description = fields.optional_string("description")?.unwrap_or_default();
        Ok(Self { success, code, description })
    }

    fn to_value(&self) -> Value {
        json!({ "success": self.success, "code": self.code, "description": self.description })
    }
}

/// The vehicle's account of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationReport {
    /// The Director's name for the assignment; may be empty.
    pub correlation_id: String,
    /// The vehicle's result. The code of a failure is `HWID:CODE|HWID:CODE`.
    pub result: InstallationResult,
    /// Output of the installation.
    pub raw_report: String,
    /// (ECU serial, its result).
    pub items: Vec<(String, InstallationResult)>,
}

impl InstallationReport {
    pub(crate) fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut outer = Fields::of("installation_report", value)?;
        if outer.string("content_type")? != CONTENT_TYPE {
            return Err(FormatError::field("content_type", "is unknown"));
        }
        let mut fields = Fields::of("report", outer.take("report")?)?;
        let correlation_id = fields.optional_string("correlation_id")?.unwrap_or_default();
        let result = InstallationResult::from_json(fields.take("result")?)?;
        let raw_report = fields.optional_string("raw_report")?.unwrap_or_default();
        let mut items = Vec::new();
        for item in fields.array("items")? {
            let mut item = Fields::of("items", item)?;
            let ecu = item.string("ecu")?;
            items.push((ecu, InstallationResult::from_json(item.take("result")?)?));
        }
        Ok(Self { correlation_id, result, raw_report, items })
    }

    /// The report as it stands in a manifest.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|(ecu, result)| json!({ "ecu": ecu, "result": result.to_value() }))
            .collect();
        json!({
            "content_type": CONTENT_TYPE,
            "report": {
                "correlation_id": self.correlation_id,
                "raw_report": self.raw_report,
                "result": self.result.to_value(),
                "items": items,
            },
        })
    }
}
