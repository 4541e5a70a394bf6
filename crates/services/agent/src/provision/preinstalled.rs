//! `installed_versions` below `import.base_path`: what the maker of an image says that runs, before
//! any update has.
//!
//! ```text
//! {SHA256: NAME}                        as meta-updater writes it, or
//! {NAME: {"hashes": {"sha256": SHA256}, "length": N, "is_current": true, "custom": {…}}}
//! ```

use serde_json::{Map, Value};

use crate::Result;
use crate::config::Settings;
use crate::store::{Store, Update};

const NAME: &str = "installed_versions";
/// A few lines.
const LIMIT: u64 = 1 << 20;

/// Takes it over, unless something was installed already. A file that cannot be read is none.
pub(crate) fn take_over(settings: &Settings, store: &Store, now: jiff::Timestamp) -> Result<()> {
    if store.installed()?.is_some() {
        return Ok(());
    }
    let path = settings.import.base_path.join(NAME);
    let small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LIMIT);
    if !small {
        return Ok(());
    }
    let parsed: Option<Value> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some((update, custom)) = parsed.as_ref().and_then(Value::as_object).and_then(current)
    else {
        tracing::warn!(path = %path.display(), "it does not say which target runs");
        return Ok(());
    };
    tracing::info!(path = %path.display(), name = update.filepath, "this is what runs");
    store.lite_adopt(&update, &custom.to_string(), now)
}

/// The target that is the current one; in the short form, the last.
fn current(versions: &Map<String, Value>) -> Option<(Update, Value)> {
    versions.iter().rev().find_map(|(key, value)| match value {
        Value::String(name) => Some((update(name, key, 0)?, Value::Null)),
        Value::Object(target) if target.get("is_current")?.as_bool()? => {
            let sha256 = value.pointer("/hashes/sha256")?.as_str()?;
            let length = target.get("length").and_then(Value::as_u64).unwrap_or(0);
            let custom = target.get("custom").cloned().unwrap_or_default();
            Some((update(key, sha256, length)?, custom))
        }
        _ => None,
    })
}

fn update(name: &str, sha256: &str, length: u64) -> Option<Update> {
    let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| Update {
        filepath: name.to_owned(),
        sha256: sha256.to_ascii_lowercase(),
        length,
        release_counter: None,
        correlation_id: String::new(),
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_what_runs_and_only_before_anything_was_installed() {
        let (old, new) = ("a".repeat(64), "B".repeat(64));
        let long = format!(
            r#"{{"first": {{"hashes": {{"sha256": "{old}"}}, "is_current": false}},
                "second": {{"hashes": {{"sha256": "{new}"}}, "length": 7, "is_current": true}}}}"#
        );
        let cases = [
            (format!(r#"{{"{new}": "second"}}"#), Some("second")),
            (long, Some("second")),
            (r#"{"short": "second"}"#.to_owned(), None),
            ("[]".to_owned(), None),
        ];
        for (text, name) in cases {
            let folder = tempfile::tempdir().unwrap();
            let mut settings = Settings::default();
            settings.storage.path = folder.path().join("storage");
            settings.import.base_path = folder.path().to_owned();
            std::fs::write(folder.path().join(NAME), &text).unwrap();
            let store = Store::open(&settings.storage).unwrap();
            for _ in 0..2 {
                take_over(&settings, &store, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
                let log = store.installation_log().unwrap();
                assert_eq!(log.first().map(|one| one.filepath.as_str()), name, "{text}");
                assert_eq!(log.len(), usize::from(name.is_some()));
                if let Some(one) = log.first() {
                    assert_eq!(one.sha256, "b".repeat(64));
                }
            }
        }
    }
}
