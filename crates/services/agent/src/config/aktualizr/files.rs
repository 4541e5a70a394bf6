//! Which files hold aktualizr's configuration, and in which order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ini::{self, Entry};
use crate::config::load::read;
use crate::{Error, Result};

/// Where aktualizr looks when nobody tells it otherwise; those that do not exist are passed by.
pub const DEFAULT_FOLDERS: [&str; 2] = ["/usr/lib/sota/conf.d", "/etc/sota/conf.d"];

/// The files of these paths, each a file or a folder of `*.toml`, in the order in which they are
/// laid over each other: by name. Of files with the same name the one of the last path counts.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    for path in paths {
        let found = if path.is_dir() { folder(path)? } else { vec![path.clone()] };
        for file in found {
            if let Some(name) = file.file_name() {
                files.insert(name.to_owned(), file.clone());
            }
        }
    }
    Ok(files.into_values().collect())
}

fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    Ok(files)
}

/// The assignments of one file.
pub(super) fn entries(path: &Path) -> Result<Vec<Entry>> {
    let text = read(path)?;
    ini::parse(&text).map_err(|malformed| Error::Config {
        place: format!("{}:{}", path.display(), malformed.line),
        problem: malformed.problem.to_owned(),
        hint: "write `[section]`, `key = \"value\"` or `# comment`".to_owned(),
    })
}
