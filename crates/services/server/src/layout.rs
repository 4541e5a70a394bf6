//! Where things are in the data folder.
//!
//! ```text
//! DATA/
//!   server.toml            configuration
//!   server.lock            held while a server runs; shared where the database is
//!   image.lock             held while metadata in image/ changes, where servers share the folder
//!   updraft.db             SQLite (with -wal and -shm beside it)
//!   tls/ca.pem, ca.key     signs the server's and the devices' certificates
//!   tls/server.pem, .key   the server's own certificate, chain included
//!   keys/director/ROLE/    keys of the Director repository
//!   keys/director/offline-updates/   the key of lists for media, from the first list on
//!   keys/image/ROLE/       keys for snapshot and timestamp of the Image repository; for root and
//!                          targets only when it was made here
//!   image/                 signed metadata of the Image repository; in image/tuf/ in TUF's form
//!   treehub/               an OSTree repository in archive mode
//!   targets/               contents of targets that are files
//!   tenants/NAME/          another tenant's data folder, of the same form
//!   incoming/              content on its way to a bucket; image/, treehub/ and targets/ are not here then
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_fs::{Dir, LockFile, LockMode};
use updraft_task::Context;

use crate::error::{Error, OPEN_DATA_FOLDER, Result};

/// How long one server waits for another that signs metadata.
const IMAGE_LOCK: Duration = Duration::from_secs(30);

/// The data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// The layout below this folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self(data.into())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The file that a running server holds locked.
    pub fn lock_name(&self) -> &'static str {
        "server.lock"
    }

    /// Waits for its turn to change the signed metadata of the Image repository, where several
    /// servers share the folder.
    pub fn lock_image(&self) -> Result<LockFile> {
        let failed = Error::fs("lock the Image repository");
        let folder = Dir::open(self.root()).map_err(Error::fs(OPEN_DATA_FOLDER))?;
        let (ctx, mode) = (Context::silent(), LockMode::Exclusive);
        LockFile::acquire(&ctx, &folder, "image.lock", mode, IMAGE_LOCK).map_err(failed)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.0.join("server.toml")
    }

    /// The folder of tenants' data folders.
    pub fn tenants(&self) -> PathBuf {
        self.0.join("tenants")
    }

    /// The data folder of a tenant, whose name has to be one.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Self {
        Self(self.tenants().join(name))
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("updraft.db")
    }

    /// The folder of TLS files.
    pub fn tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    /// The certificate of the CA.
    pub fn ca_certificate(&self) -> PathBuf {
        self.tls().join("ca.pem")
    }

    /// The private key of the CA.
    pub fn ca_key(&self) -> PathBuf {
        self.tls().join("ca.key")
    }

    /// The server's certificate chain.
    pub fn server_certificate(&self) -> PathBuf {
        self.tls().join("server.pem")
    }

    /// The server's private key.
    pub fn server_key(&self) -> PathBuf {
        self.tls().join("server.key")
    }

    /// The keys of the Director repository.
    pub fn director_keys(&self) -> PathBuf {
        self.0.join("keys/director")
    }

    /// The online keys of the Image repository.
    pub fn image_keys(&self) -> PathBuf {
        self.0.join("keys/image")
    }

    /// The signed metadata of the Image repository.
    pub fn image(&self) -> PathBuf {
        self.0.join("image")
    }

    /// The OSTree repository.
    pub fn treehub(&self) -> PathBuf {
        self.0.join("treehub")
    }

    /// Where content waits that is on its way to a bucket.
    pub fn incoming(&self) -> PathBuf {
        self.0.join("incoming")
    }
}
