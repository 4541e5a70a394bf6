//! A target as it is entered in targets.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// A target to add.
#[derive(Debug, Clone)]
pub(crate) struct NewTarget {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
    pub(crate) length: u64,
    /// `OSTREE` or `BINARY`.
    pub(crate) format: String,
    pub(crate) hardware_ids: Vec<String>,
    pub(crate) url: Option<String>,
    pub(crate) custom: Option<Map<String, Value>>,
    /// Its content was sent before it was signed.
    pub(crate) uploaded: bool,
}

impl NewTarget {
    pub(super) fn filename(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// Enters it. What the same target was for before, it still is for.
    pub(super) fn enter(&self, payload: &mut Value, now: Timestamp) -> Result {
        let targets = payload
            .get_mut("targets")
            .and_then(Value::as_object_mut)
            .ok_or_else(|| Failure::new(Kind::Invalid, "the metadata has no targets"))?;
        let filename = self.filename();
        let before = targets.get(&filename).map(|target| target["custom"].clone());
        let before = before.as_ref().and_then(Value::as_object);
        let mut custom = before.cloned().unwrap_or_default();
        let mut hardware_ids: Vec<String> = before
            .and_then(|custom| serde_json::from_value(custom.get("hardwareIds")?.clone()).ok())
            .unwrap_or_default();
        for id in &self.hardware_ids {
            if !hardware_ids.contains(id) {
                hardware_ids.push(id.clone());
            }
        }
        custom.extend(self.custom.clone().unwrap_or_default());
        let time = Value::from(updraft_tuf::format_time(now));
        custom.insert("name".to_owned(), self.name.as_str().into());
        custom.insert("version".to_owned(), self.version.as_str().into());
        custom.insert("hardwareIds".to_owned(), json!(hardware_ids));
        custom.insert("targetFormat".to_owned(), self.format.as_str().into());
        custom.entry("createdAt").or_insert_with(|| time.clone());
        custom.insert("updatedAt".to_owned(), time);
        custom.remove("uri");
        if let Some(url) = &self.url {
            custom.insert("uri".to_owned(), url.as_str().into());
        }
        custom.remove("cliUploaded");
        if self.uploaded {
            custom.insert("cliUploaded".to_owned(), true.into());
        }
        let target = json!({
            "hashes": { "sha256": self.sha256 }, "length": self.length, "custom": custom,
        });
        targets.insert(filename, target);
        Ok(())
    }
}
