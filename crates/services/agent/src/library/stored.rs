//! The files of targets, as the file installer keeps them: each under its SHA-256.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use updraft_error::Kind;

use super::events::summary;
use crate::config::Settings;
use crate::store::{FilePlace, Store};
use crate::{Error, Result, TargetSummary};

pub(super) fn list(settings: &Settings) -> Result<Vec<TargetSummary>> {
    let Some(store) = Store::open_to_read(&settings.storage)? else { return Ok(Vec::new()) };
    let mut known = BTreeMap::new();
    for one in store.history()? {
        let target = TargetSummary {
            filepath: one.filepath,
            sha256: one.sha256,
            correlation_id: one.correlation_id,
        };
        known.insert(target.sha256.clone(), target);
    }
    if let Some(update) = store.update()? {
        known.insert(update.sha256.clone(), summary(&update));
    }
    known.retain(|_, target| path(settings, target).is_ok_and(|path| path.is_file()));
    Ok(known.into_values().collect())
}

pub(super) fn open(settings: &Settings, target: &TargetSummary) -> Result<File> {
    let path = path(settings, target)?;
    File::open(&path).map_err(|source| Error::Read { path, source })
}

pub(super) fn delete(settings: &Settings, target: &TargetSummary) -> Result<()> {
    let path = path(settings, target)?;
    if let Some(store) = Store::open_to_read(&settings.storage)?
        && let Some(ecu) = store.ecu()?
    {
        for place in [FilePlace::Running, FilePlace::Next] {
            let image = store.file_image(&ecu.serial, place)?;
            if image.is_some_and(|image| image.sha256 == target.sha256) {
                return Err(refused(target, "it runs, or is what runs next", Kind::Conflict));
            }
        }
    }
    std::fs::remove_file(&path).map_err(|source| Error::Read { path, source })
}

fn path(settings: &Settings, target: &TargetSummary) -> Result<PathBuf> {
    if !settings.pacman.is_files() {
        let problem = "targets are no files that are kept here";
        return Err(refused(target, problem, Kind::Unsupported));
    }
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hash(&target.sha256) {
        return Err(refused(target, "it has no SHA-256", Kind::Invalid));
    }
    Ok(settings.pacman.images_path.join(target.sha256.to_ascii_uppercase()))
}

fn refused(target: &TargetSummary, problem: &str, kind: Kind) -> Error {
    Error::Target { filepath: target.filepath.clone(), problem: problem.to_owned(), kind }
}
