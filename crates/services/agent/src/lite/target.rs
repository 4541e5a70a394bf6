//! A target as aktualizr-lite reads it.
//!
//! ```text
//! custom: {"version": "N", "hardwareIds": [ONE], "tags": […], "targetFormat": "OSTREE",
//!          "docker_compose_apps": {NAME: {"uri": URI}}, …}
//! ```

use serde_json::Value;

/// The version of what has none: older than all that have one.
const NO_VERSION: i64 = -1;

/// A named commit with what its metadata says besides.
#[derive(Debug, Clone, PartialEq)]
pub struct LiteTarget {
    /// Its name in the repository.
    pub name: String,
    /// The commit.
    pub sha256: String,
    /// `custom.version` as a number; -1 when it is none.
    pub version: i64,
    /// All custom fields.
    pub custom: Value,
}

/// An app of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub uri: String,
}

impl LiteTarget {
    /// A target with these custom fields.
    pub fn new(name: impl Into<String>, sha256: impl Into<String>, custom: Value) -> Self {
        let version = match custom.get("version") {
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_i64(),
            _ => None,
        };
        Self {
            name: name.into(),
            sha256: sha256.into(),
            version: version.unwrap_or(NO_VERSION),
            custom,
        }
    }

    /// What runs when nobody knows what it is.
    pub fn unknown(sha256: impl Into<String>) -> Self {
        Self::new("unknown", sha256, Value::Null)
    }

    /// Whether nobody knows what it is.
    pub fn is_unknown(&self) -> bool {
        self.name == "unknown"
    }

    /// `custom.version` as it is written.
    pub fn version_text(&self) -> String {
        match self.custom.get("version") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The one hardware id; `None` when there are none or several.
    pub fn hardware_id(&self) -> Option<&str> {
        match self.custom.get("hardwareIds")?.as_array()?.as_slice() {
            [one] => one.as_str(),
            _ => None,
        }
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = self.custom.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it is an OSTree commit.
    pub fn is_ostree(&self) -> bool {
        self.custom_text("targetFormat") == Some("OSTREE")
    }

    /// A custom field that is text.
    pub fn custom_text(&self, name: &str) -> Option<&str> {
        self.custom.get(name)?.as_str()
    }

    /// Its apps, by name.
    pub fn apps(&self) -> Vec<App> {
        let apps = self.custom.get("docker_compose_apps").and_then(Value::as_object);
        let mut apps: Vec<App> = apps
            .into_iter()
            .flatten()
            .filter_map(|(name, app)| {
                let uri = app.get("uri")?.as_str()?.to_owned();
                Some(App { name: name.clone(), uri })
            })
            .collect();
        apps.sort_by(|left, right| left.name.cmp(&right.name));
        apps
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn custom_fields_are_read_leniently() {
        for (custom, version, hardware) in [
            (json!({"version": "12", "hardwareIds": ["a"]}), 12, Some("a")),
            (json!({"version": 7, "hardwareIds": ["a", "b"]}), 7, None),
            (json!({"version": "v1", "hardwareIds": []}), -1, None),
            (json!({"hardwareIds": "a"}), -1, None),
            (Value::Null, -1, None),
        ] {
            let target = LiteTarget::new("n", "s", custom);
            assert_eq!((target.version, target.hardware_id()), (version, hardware));
        }
    }

    #[test]
    fn apps_and_tags() {
        let target = LiteTarget::new(
            "n",
            "s",
            json!({"tags": ["x", 1, "y"], "targetFormat": "OSTREE", "docker_compose_apps": {
                "b": {"uri": "hub/b@1"}, "a": {"uri": "hub/a@1"}, "broken": {}}}),
        );
        assert!(target.is_ostree());
        assert_eq!(target.tags().collect::<Vec<_>>(), ["x", "y"]);
        let names: Vec<_> = target.apps().into_iter().map(|app| app.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
