//! Making a data folder, its keys, and the credentials file that devices provision themselves with.

mod certificate;
mod credentials;
mod init;
mod keys;

pub use certificate::renew_server_certificate;
pub use credentials::{
    CredentialsOptions, OperatorCredentials, TargetsKey, write_credentials,
    write_operator_credentials,
};
pub use init::{InitOptions, init};
pub use keys::{KEY_ROLES, add_token_key, list_keys, remove_key};

use updraft_fs::{Dir, LockFile, LockMode};

use crate::config::Config;
use crate::error::{Error, OPEN_DATA_FOLDER, Result};
use crate::layout::Layout;

/// Takes the data folder for a running server; it is free again when the value is dropped. Servers
/// that share a database may share the folder.
pub fn lock(layout: &Layout, config: &Config) -> Result<LockFile> {
    let folder = Dir::open(layout.root()).map_err(Error::fs(OPEN_DATA_FOLDER))?;
    let mode = match config.database.url {
        Some(_) => LockMode::Shared,
        None => LockMode::Exclusive,
    };
    LockFile::try_acquire(&folder, layout.lock_name(), mode)
        .map_err(Error::fs("lock the data folder"))?
        .ok_or_else(|| Error::Locked { path: layout.root().join(layout.lock_name()) })
}
