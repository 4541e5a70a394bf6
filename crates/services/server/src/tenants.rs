//! Several tenants of one server.
//!
//! Each is a [`Fleet`] with a data folder of its own: database, keys, certificate authority, users,
//! metadata. Nothing that one of them does can reach another: which one a request is for is decided
//! before anything of it is read (`http::hosts`), and no query has to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use updraft_fs::LockFile;

use crate::config::tenant::{self, DEFAULT_TENANT};
use crate::config::{Config, TenantConfig};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::layout::Layout;
use crate::setup;

/// The most tenants of one server.
pub const MAX_TENANTS: usize = 1000;

/// The tenants of one server, and what keeps other servers from their data folders.
#[derive(Debug)]
pub struct Tenants {
    /// The one that every server has, and that is asked where a request names no other.
    pub default: Arc<Fleet>,
    /// The others, by name.
    pub others: Vec<Arc<Fleet>>,
    locks: Vec<LockFile>,
}

impl From<Arc<Fleet>> for Tenants {
    fn from(default: Arc<Fleet>) -> Self {
        Self { default, others: Vec::new(), locks: Vec::new() }
    }
}

impl Tenants {
    /// Opens a data folder and those of the tenants in it, each of which has to be good.
    ///
    /// # Errors
    /// As [`Fleet::open`]; when another server runs on one of them; when two tenants have a host
    /// in common.
    pub fn open(layout: &Layout, config: Config, environment: &Environment) -> Result<Self> {
        let mut tenants = Self {
            locks: vec![setup::lock_to_serve(layout, &config)?],
            default: Arc::new(Fleet::open(layout.clone(), config, environment.clone())?),
            others: Vec::new(),
        };
        for name in names(layout)? {
            let own = layout.tenant(&name);
            let config = Config::load(&own.config())?;
            if config.tenant.name != name {
                return Err(Error::Config {
                    path: own.config(),
                    reason: format!("tenant.name is not \"{name}\", the name of its folder"),
                });
            }
            tenants.locks.push(setup::lock_to_serve(&own, &config)?);
            let fleet = Fleet::open(own, config, environment.clone())?;
            tenants.others.push(Arc::new(fleet));
        }
        tenants.check_hosts()?;
        Ok(tenants)
    }

    /// All of them; the one that every server has comes first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Fleet>> {
        std::iter::once(&self.default).chain(&self.others)
    }

    fn check_hosts(&self) -> Result<()> {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for fleet in self.all() {
            let tenant = &fleet.config.tenant;
            for host in &tenant.hostnames {
                if let Some(other) = owners.insert(host, &tenant.name) {
                    return Err(Error::Config {
                        path: fleet.layout.config(),
                        reason: format!("the host {host} is that of the tenant {other}, too"),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The names of the tenants in a data folder, but for the one that every server has.
///
/// # Errors
/// When the folder of tenants cannot be read, or has something that is no tenant's folder.
pub fn names(layout: &Layout) -> Result<Vec<String>> {
    let folder = layout.tenants();
    let failed = |source| Error::Io { action: "list", path: folder.clone(), source };
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let entries = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
    let mut names = Vec::new();
    for name in entries.collect::<std::io::Result<Vec<_>>>().map_err(failed)? {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with('.') {
            // What somebody moved away.
            continue;
        }
        tenant::check_name(&name).map_err(|reason| Error::Name {
            what: "tenant",
            value: name.clone(),
            reason,
        })?;
        names.push(name);
    }
    names.sort();
    if names.len() > MAX_TENANTS {
        return Err(Error::TooMany { what: "tenants", limit: MAX_TENANTS });
    }
    Ok(names)
}

/// Refuses a new tenant whose host is another one's, or whose configuration is none.
///
/// # Errors
/// [`Error::Config`], and when a configuration cannot be read.
pub fn check_new(layout: &Layout, new: &TenantConfig) -> Result<()> {
    let path = layout.tenant(&new.name).config();
    let invalid = |reason| Error::Config { path: path.clone(), reason };
    new.check().map_err(invalid)?;
    let mut configs = vec![Config::load(&layout.config())?];
    for name in names(layout)?.iter().filter(|name| **name != new.name) {
        configs.push(Config::load(&layout.tenant(name).config())?);
    }
    for TenantConfig { name, hostnames } in configs.iter().map(|config| &config.tenant) {
        if let Some(host) = new.hostnames.iter().find(|host| hostnames.contains(host)) {
            return Err(invalid(format!("the host {host} is that of the tenant {name}, too")));
        }
    }
    Ok(())
}

/// The data folder of a tenant.
///
/// # Errors
/// [`Error::Name`], and [`Error::NotFound`] where there is none of this name.
pub fn find(layout: &Layout, name: &str) -> Result<Layout> {
    if name.eq_ignore_ascii_case(DEFAULT_TENANT) {
        return Ok(layout.clone());
    }
    let own = layout.tenant(checked(name)?);
    if own.root().is_dir() {
        return Ok(own);
    }
    Err(Error::not_found("the tenant", name))
}

/// The name, when it can be a tenant's.
pub fn checked(name: &str) -> Result<&str> {
    tenant::check_name(name).map(|()| name).map_err(|reason| Error::Name {
        what: "tenant",
        value: name.chars().take(80).collect(),
        reason,
    })
}
