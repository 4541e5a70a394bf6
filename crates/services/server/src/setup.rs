//! Making a data folder, its keys, and the credentials file that devices provision themselves with;
//! backups of all of it.

mod backup;
mod certificate;
mod credentials;
mod init;
mod keys;
mod restore;

pub use backup::{About, Backup, backup};
pub use certificate::renew_server_certificate;
pub use credentials::{
    CredentialsOptions, OperatorCredentials, TargetsKey, write_credentials,
    write_operator_credentials,
};
pub use init::{InitOptions, init};
pub use keys::{KEY_ROLES, add_token_key, list_keys, remove_key};
pub use restore::{RestoreTo, check_backup, restore};

use updraft_fs::{Dir, LockFile, LockMode};

use crate::config::Config;
use crate::error::{Error, OPEN_DATA_FOLDER, Result};
use crate::layout::Layout;

/// Takes the data folder for itself alone, as a server does and who changes its keys; it is free
/// again when the value is dropped.
pub fn lock(layout: &Layout) -> Result<LockFile> {
    lock_as(layout, LockMode::Exclusive)
}

/// Takes the data folder for a running server. Servers that share a database may share the folder.
pub fn lock_to_serve(layout: &Layout, config: &Config) -> Result<LockFile> {
    lock_as(layout, config.database.url.as_ref().map_or(LockMode::Exclusive, |_| LockMode::Shared))
}

fn lock_as(layout: &Layout, mode: LockMode) -> Result<LockFile> {
    let folder = Dir::open(layout.root()).map_err(Error::fs(OPEN_DATA_FOLDER))?;
    LockFile::try_acquire(&folder, layout.lock_name(), mode)
        .map_err(Error::fs("lock the data folder"))?
        .ok_or_else(|| Error::Locked { path: layout.root().join(layout.lock_name()) })
}
