//! The metadata keys in the data folder: listed, and put into tokens.

use std::path::{Path, PathBuf};

use updraft_publish::{KeyStore, StoredKey};
use updraft_tuf::KeyId;

use crate::error::{Error, Result};
use crate::fleet::online_keys::DIALECT;
use crate::layout::Layout;

/// The folders of keys, by the names under which operators know them.
pub const KEY_ROLES: [&str; 9] = [
    "director/root",
    "director/targets",
    "director/snapshot",
    "director/timestamp",
    "director/offline-updates",
    "image/root",
    "image/targets",
    "image/snapshot",
    "image/timestamp",
];

fn folder(layout: &Layout, role: &str) -> Result<PathBuf> {
    if !KEY_ROLES.contains(&role) {
        return Err(Error::not_found("role", role));
    }
    Ok(match role.split_once('/') {
        Some(("director", role)) => layout.director_keys().join(role),
        _ => layout.image_keys().join(role.rsplit('/').next().unwrap_or_default()),
    })
}

fn open(path: &Path) -> Result<KeyStore> {
    KeyStore::open(path, DIALECT).map_err(Error::crypto("open a folder of metadata keys"))
}

/// The keys of a role that are here, or that this server reaches in a token.
pub fn list_keys(layout: &Layout, role: &str) -> Result<Vec<StoredKey>> {
    let path = folder(layout, role)?;
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    open(&path)?.list().map_err(Error::crypto("read a metadata key in keys/"))
}

/// Lets a role sign with a key in a token, by its URI (RFC 7512). `helper` is the program that loads
/// the token's module.
pub fn add_token_key(layout: &Layout, role: &str, uri: &str, helper: &Path) -> Result<StoredKey> {
    open(&folder(layout, role)?)?
        .add_token(uri, helper)
        .map_err(Error::crypto("find the key in its token"))
}

/// Forgets a key of a role; one in a token stays there. The last one of a role that must sign here
/// is kept.
pub fn remove_key(layout: &Layout, role: &str, id: &str) -> Result<()> {
    let id: KeyId = id.parse().map_err(|error| Error::invalid("the key's id", error))?;
    let optional = matches!(role, "image/root" | "image/targets" | "director/offline-updates");
    let keys = list_keys(layout, role)?;
    if !keys.iter().any(|key| key.key_id == id) {
        return Err(Error::not_found("key", id.to_string()));
    }
    if keys.len() == 1 && !optional {
        return Err(Error::Conflict {
            code: "last_key",
            action: format!("forget the key {id}"),
            reason: format!("{role} would have no key left; add another one first"),
        });
    }
    open(&folder(layout, role)?)?.remove(&id).map_err(Error::crypto("forget a metadata key"))
}
