//! `init`: a new data folder.

use std::path::Path;

use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_ostree::RepoMode;
use updraft_repo::Repo;

use crate::config::{Config, DatabaseConfig, StorageConfig, TenantConfig};
use crate::contents::Contents;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::online_keys::{DirectorKeys, ImageKeys};
use crate::layout::Layout;
use crate::storage::{Database, metadata};

/// Days that the certificate authority is good for.
const CA_DAYS: u32 = 7300;
/// Days that the server's certificate is good for.
pub(super) const SERVER_DAYS: u32 = 3650;

/// What a new server is to be like.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// The host names and addresses under which devices and operators reach it.
    pub names: Vec<String>,
    /// A database of PostgreSQL; without, SQLite in the data folder.
    pub database: DatabaseConfig,
    /// A bucket for content; without, the data folder.
    pub storage: StorageConfig,
    /// Whose fleet it is, where one server has several.
    pub tenant: TenantConfig,
}

/// Makes a data folder. One that is there and not empty is left alone.
pub fn init(layout: &Layout, options: &InitOptions, environment: &Environment) -> Result<()> {
    let root = layout.root();
    refuse_existing(root)?;
    let config = Config {
        tenant: options.tenant.clone(),
        database: options.database.clone(),
        storage: options.storage.clone(),
        ..Config::default()
    };
    let limit = config.limits.upload_bytes;
    let contents = Contents::open(layout, &config.storage, limit, environment)?;
    // Before anything is made that would have to be taken away again.
    contents.check_writable(environment)?;
    let folder =
        updraft_fs::Dir::create_all(root, 0o700).map_err(Error::fs("make the data folder"))?;
    for name in ["tls", "keys"] {
        folder.ensure_dir(name, 0o700).map_err(Error::fs("make the data folder"))?;
    }
    if !contents.is_bucket() {
        for name in ["image", "targets"] {
            folder.ensure_dir(name, 0o755).map_err(Error::fs("make the data folder"))?;
        }
        Repo::init(layout.treehub(), RepoMode::Archive, &updraft_repo::InitOptions::default())
            .map_err(Error::repo("make the OSTree repository treehub/"))?;
    }
    certificates(layout, options, environment)?;
    let director = DirectorKeys::create(&layout.director_keys())?;
    ImageKeys::create(&layout.image_keys())?;
    write(&layout.config(), config.to_toml().as_bytes(), 0o644)?;

    // Commit point: a folder without a database is not a server's, and init may run again after
    // what is there was removed.
    let now = environment.now();
    let days = config.metadata.director_root_days;
    let database = Database::make(layout, &config.database)?;
    database.write("store the Director's root", |tx| {
        metadata::insert_director_root(tx, &director.first_root(days, now)?)
    })?;
    folder.sync().map_err(Error::fs("make the data folder"))
}

pub(super) fn refuse_existing(root: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(Error::Io { action: "open", path: root.to_owned(), source });
        }
    };
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Error::Conflict {
        code: "already_initialised",
        action: format!("make a data folder at {}", root.display()),
        reason: "the folder is not empty".to_owned(),
    })
}

fn certificates(layout: &Layout, options: &InitOptions, environment: &Environment) -> Result<()> {
    let now = environment.now();
    let action = "make the server's certificates";
    let authority = CertificateAuthority::create("Updraft device CA", Validity::days(now, CA_DAYS))
        .map_err(Error::crypto(action))?;
    let mut names = options.names.clone();
    if names.is_empty() {
        names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    }
    let server = authority
        .issue_server(&names, Validity::days(now, SERVER_DAYS))
        .map_err(|error| Error::invalid("the server's names", error))?;
    let chain = format!("{}{}", server.certificate_pem, authority.certificate_pem());
    write(&layout.ca_certificate(), authority.certificate_pem().as_bytes(), 0o644)?;
    write(&layout.ca_key(), authority.key_pem().as_bytes(), 0o600)?;
    write(&layout.server_certificate(), chain.as_bytes(), 0o644)?;
    write(&layout.server_key(), server.private_key_pem.as_bytes(), 0o600)
}

pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    updraft_fs::atomic_write_path(path, bytes, mode)
        .map_err(Error::fs("write a file of the data folder"))
}
