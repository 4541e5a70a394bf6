//! A folder of configurations, one in each `*.json`, and how one is shown.

use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;

use super::{MAX_UPDATE_CONFIG, UpdateConfig};
use crate::ConfigError;

/// Most files of a folder that are looked at.
const MAX_LISTED: usize = 256;
/// In place of what is secret.
const HIDDEN: &str = "(not shown)";

/// One file of a folder.
#[derive(Debug)]
pub struct ListedUpdate {
    /// Its name in the folder.
    pub file: String,
    /// What it says, or why it cannot be used.
    pub config: Result<UpdateConfig, ConfigError>,
}

impl UpdateConfig {
    /// The files of a folder, by name: at most 256. A folder that is not there has none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(folder: &Path) -> Result<Vec<ListedUpdate>, ConfigError> {
        let failed = |source| ConfigError::Read { path: folder.to_owned(), source };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name().into_string().unwrap_or_default();
            if is_name(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.truncate(MAX_LISTED);
        let listed = names.into_iter().map(|file| {
            let config = Self::load(&folder.join(&file));
            ListedUpdate { file, config }
        });
        Ok(listed.collect())
    }

    /// One file of a folder. `None`: its name is none that a listing could have.
    #[must_use]
    pub fn in_folder(folder: &Path, file: &str) -> Option<Result<Self, ConfigError>> {
        is_name(file).then(|| Self::load(&folder.join(file)))
    }

    /// What a file of a folder says, for people: its JSON without what is secret. `None` as with
    /// [`UpdateConfig::in_folder`].
    #[must_use]
    pub fn shown(folder: &Path, file: &str) -> Option<Result<String, ConfigError>> {
        is_name(file).then(|| show(&folder.join(file)))
    }
}

/// Whether a name is that of a configuration within the folder itself.
fn is_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "json")
        && !name.starts_with('.')
        && !name.contains(['/', '\0'])
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    // A pipe would be waited for.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
    }
    let mut text = Vec::new();
    // One byte more tells that it is too long.
    file.take(MAX_UPDATE_CONFIG + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn show(path: &Path) -> Result<String, ConfigError> {
    let text = read(path)?;
    let shown = serde_json::from_slice(&text).ok().and_then(|mut value: Value| {
        hide(&mut value);
        serde_json::to_string_pretty(&value).ok()
    });
    shown.ok_or_else(|| ConfigError::Syntax {
        path: path.to_owned(),
        problem: "it is no JSON".to_owned(),
    })
}

/// Hides `authorization`, wherever it is.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if key == "authorization" {
                    *value = HIDDEN.into();
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::UpdateConfig;

    #[test]
    fn a_folder_is_listed_and_a_file_shown_without_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let (path, good) = (folder.path(), include_str!("../../tests/golden/update-config.json"));
        assert!(UpdateConfig::list(&path.join("none")).unwrap().is_empty());
        for (name, text) in [("b.json", good), ("a.json", "{"), ("c.txt", good), (".d.json", good)]
        {
            std::fs::write(path.join(name), text).unwrap();
        }
        std::fs::create_dir(path.join("e.json")).unwrap();
        let listed = UpdateConfig::list(path).unwrap();
        let names: Vec<_> = listed.iter().map(|one| (&*one.file, one.config.is_ok())).collect();
        assert_eq!(names, [("a.json", false), ("b.json", true), ("e.json", false)]);
        let shown = UpdateConfig::shown(path, "b.json").unwrap().unwrap();
        assert!(shown.contains("gen_update_config.py") && !shown.contains("dXNlcjpwYXNz"));
        for name in ["../b.json", "b", ".d.json", "/b.json"] {
            assert!(UpdateConfig::in_folder(path, name).is_none(), "{name}");
            assert!(UpdateConfig::shown(path, name).is_none(), "{name}");
        }
    }
}
