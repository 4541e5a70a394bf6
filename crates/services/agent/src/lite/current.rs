//! What runs, by name; and the file that tells it to scripts.

use std::fmt::Write as _;

use updraft_fs::{Dir, atomic_write};

use super::LiteTarget;
use super::selection::Candidate;
use crate::Result;
use crate::boot::Boot;
use crate::session::Session;
use crate::store::{Store, Update};

/// The file below `storage.path`, in a form that a shell can source.
pub(super) const FILE: &str = "current-target";
/// The name of a system that the device came with and that the repository does not know.
const INITIAL: &str = "Initial Target";
/// Its version: older than all others.
const INITIAL_CUSTOM: &str = r#"{"version":"0","targetFormat":"OSTREE"}"#;

/// What is booted.
pub(super) fn running(session: &Session, boot: &Boot) -> Result<LiteTarget> {
    let Some(booted) = &boot.booted else { return Ok(LiteTarget::unknown("")) };
    let sha256 = booted.checksum.to_hex();
    let name = match session.store.name_of(&sha256)? {
        Some(name) => Some(name),
        // It was installed, and waits to be confirmed.
        None => session
            .store
            .update()?
            .filter(|update| update.sha256 == sha256)
            .map(|update| update.filepath),
    };
    match name {
        Some(name) => named(&session.store, &name, &sha256),
        None => Ok(LiteTarget::unknown(sha256)),
    }
}

/// A target that was begun or adopted here.
pub(super) fn named(store: &Store, name: &str, sha256: &str) -> Result<LiteTarget> {
    let custom = store.lite_custom(name, sha256)?.unwrap_or_default();
    let custom = serde_json::from_str(&custom).unwrap_or_default();
    Ok(LiteTarget::new(name, sha256, custom))
}

/// Gives what runs the name that the repository has for it, when nobody has named it yet.
pub(super) fn adopt(
    session: &Session,
    running: &LiteTarget,
    candidates: &[Candidate],
) -> Result<Option<LiteTarget>> {
    let is_named = !running.is_unknown() && running.name != INITIAL;
    // A name alone says no version, such as that of an image's maker.
    if running.sha256.is_empty() || (is_named && !running.custom.is_null()) {
        return Ok(None);
    }
    let known = candidates.iter().rev().find(|one| one.target.sha256 == running.sha256);
    let (name, custom) = match known {
        Some(one) => (one.target.name.clone(), one.target.custom.to_string()),
        None if running.is_unknown() => (INITIAL.to_owned(), INITIAL_CUSTOM.to_owned()),
        None => return Ok(None),
    };
    let update = Update {
        filepath: name,
        sha256: running.sha256.clone(),
        length: 0,
        release_counter: None,
        correlation_id: String::new(),
    };
    session.store.lite_adopt(&update, &custom, session.now())?;
    named(&session.store, &update.filepath, &update.sha256).map(Some)
}

/// Writes the file.
pub(super) fn write(session: &Session, running: &LiteTarget) -> Result<()> {
    let folder = Dir::open(&session.settings.storage.path)?;
    atomic_write(&folder, FILE, text(running).as_bytes(), 0o644)?;
    Ok(())
}

fn text(target: &LiteTarget) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Names come from metadata, and shells read this file.
        let value: String = value.chars().filter(|c| !"\"\\$`".contains(*c) && *c >= ' ').collect();
        let _ = writeln!(text, "{name}=\"{value}\"");
    };
    line("TARGET_NAME", &target.name);
    line("CUSTOM_VERSION", &target.version_text());
    for (name, field) in [
        ("LMP_MANIFEST_SHA", "lmp-manifest-sha"),
        ("META_SUBSCRIBER_OVERRIDES_SHA", "meta-subscriber-overrides-sha"),
        ("CONTAINERS_SHA", "containers-sha"),
    ] {
        if let Some(value) = target.custom_text(field).filter(|value| !value.is_empty()) {
            line(name, value);
        }
    }
    line("TAG", &target.tags().collect::<Vec<_>>().join(","));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_can_be_sourced() {
        let custom = json!({"version": "7", "tags": ["a", "b"], "containers-sha": "12",
            "lmp-manifest-sha": ""});
        let told = text(&LiteTarget::new("x-`rm`$\"7", "s", custom));
        assert_eq!(
            told,
            "TARGET_NAME=\"x-rm7\"\nCUSTOM_VERSION=\"7\"\nCONTAINERS_SHA=\"12\"\nTAG=\"a,b\"\n"
        );
    }
}
