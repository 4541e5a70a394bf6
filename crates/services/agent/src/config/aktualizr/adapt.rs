//! Where aktualizr's settings and ours are not the same.
//!
//! | aktualizr | here |
//! | --- | --- |
//! | `uptane.key_type` is `RSA2048` when nobody sets it | set to that |
//! | the Director's timestamp and snapshot are never asked for | `uptane.director_metadata` is `auto`: if its root knows them |
//! | `bootloader.reboot_command` is run if `uptane.force_install_completion` | run if set; so it is emptied, or set to `/sbin/reboot` |
//! | `storage.sqldb_path` names its own database | ours has another name and lies beside it |
//! | 0 and 1 are booleans | they are numbers |
//! | a number that is none is passed over | the same, with a warning |

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ini::without_comment;
use crate::config::load::Layers;
use crate::config::{Loaded, Origin};
use crate::{Error, Result};

const REBOOT_COMMAND: &str = "/sbin/reboot";

/// Known keys of aktualizr that mean nothing here, with the reason.
const WITHOUT_EFFECT: [(&str, &str); 9] = [
    ("storage.uptane_metadata_path", OLD_STORAGE),
    ("storage.uptane_private_key_path", OLD_STORAGE),
    ("storage.uptane_public_key_path", OLD_STORAGE),
    ("storage.tls_cacert_path", OLD_STORAGE),
    ("storage.tls_pkey_path", OLD_STORAGE),
    ("storage.tls_clientcert_path", OLD_STORAGE),
    ("uptane.enable_online_updates", "updates come from the server always"),
    ("pacman.booted", "what is booted is looked at"),
    ("pacman.packages", "packages are read from `packages_file`"),
];
const OLD_STORAGE: &str = "the storage in files of very old versions is not read";

/// Keys for which a wrong value stops the device: going on without would be another identity.
const ESSENTIAL: [&str; 4] =
    ["tls.ca_source", "tls.pkey_source", "tls.cert_source", "uptane.key_source"];

/// What holds for aktualizr when nobody says otherwise.
pub(super) fn defaults(
    layers: &mut Layers,
    given: &BTreeMap<String, (String, Origin)>,
) -> Result<()> {
    for (key, value) in [("uptane.key_type", "RSA2048"), ("uptane.director_metadata", "auto")] {
        if !given.contains_key(key) {
            layers.single(key, value, "aktualizr's default", Origin::Default)?;
        }
    }
    Ok(())
}

/// Sets one key. `Some`: why it has no effect.
pub(super) fn set(
    layers: &mut Layers,
    key: &str,
    value: &str,
    origin: &Origin,
    also_known: &[String],
) -> Result<Option<String>> {
    if also_known.iter().any(|known| known == key) {
        return Ok(None);
    }
    if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == key) {
        return Ok(Some((*reason).to_owned()));
    }
    if key == "storage.sqldb_path" {
        return Ok(None);
    }
    let mut problem = String::new();
    for candidate in candidates(key, value) {
        match layers.single(key, &candidate, &origin.to_string(), origin.clone()) {
            Ok(()) => return Ok(None),
            Err(Error::Config { problem: said, .. }) => problem = said,
            Err(other) => return Err(other),
        }
    }
    if ESSENTIAL.contains(&key) {
        return Err(Error::Config {
            place: format!("{origin}: {key}"),
            problem: format!("`{value}` is not supported"),
            hint: "write \"file\", or \"pkcs11\" with the token in the section `[p11]`".to_owned(),
        });
    }
    Ok(Some(if problem.contains("unknown field") {
        "it has no effect".to_owned()
    } else {
        format!("`{value}` is not a value for it, the default holds: {problem}")
    }))
}

/// The forms in which a value may be meant.
fn candidates(key: &str, value: &str) -> Vec<String> {
    let short = without_comment(value);
    let mut forms = vec![value.to_owned(), short.to_owned()];
    match (key, short) {
        ("logger.loglevel", _) => {
            forms = short
                .parse::<i64>()
                .map(|level| level.clamp(0, 5).to_string())
                .into_iter()
                .collect();
            if forms.is_empty() {
                forms.push(value.to_owned());
            }
        }
        ("uptane.polling_sec", "0") => forms = vec!["1".to_owned()],
        ("uptane.key_type", _) => forms.push(short.to_ascii_uppercase()),
        ("provision.mode", _) => forms.extend(provision_mode(short)),
        _ => {}
    }
    match short.to_ascii_lowercase().as_str() {
        "1" | "true" => forms.push("true".to_owned()),
        "0" | "false" => forms.push("false".to_owned()),
        _ => {}
    }
    forms
}

/// In any case, and as older versions called them.
fn provision_mode(value: &str) -> Option<String> {
    const NAMES: [(&str, &str); 6] = [
        ("default", "Default"),
        ("sharedcred", "SharedCred"),
        ("sharedcredreuse", "SharedCredReuse"),
        ("devicecred", "DeviceCred"),
        ("automatic", "SharedCred"),
        ("implicit", "DeviceCred"),
    ];
    let lower = value.to_ascii_lowercase();
    NAMES.iter().find(|(name, _)| *name == lower).map(|(_, mode)| (*mode).to_owned())
}

/// What depends on several keys.
pub(super) fn finish(loaded: &mut Loaded, raw: &BTreeMap<String, String>) {
    let settings = &mut loaded.settings;
    if let Some(name) = raw.get("storage.sqldb_path").filter(|name| !name.is_empty()) {
        settings.storage.aktualizr_sqldb_path = PathBuf::from(name);
    }
    let command = &mut settings.bootloader.reboot_command;
    if !settings.uptane.force_install_completion {
        // Somebody else reboots: aktualizr only ends.
        command.clear();
    } else if command.is_empty() {
        REBOOT_COMMAND.clone_into(command);
    }
}
