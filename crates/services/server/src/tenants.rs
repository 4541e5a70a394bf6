//! Several tenants of one server.
//!
//! Each is a [`Fleet`] with a data folder of its own: database, keys, certificate authority, users,
//! metadata. Nothing that one of them does can reach another: which one a request is for is decided
//! before anything of it is read (`http::hosts`), and no query has to.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
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
    pub others: Vec<Tenant>,
    _lock: Option<LockFile>,
}

/// A tenant that is served.
#[derive(Debug)]
pub struct Tenant {
    /// All that it is.
    pub fleet: Arc<Fleet>,
    /// Which folder that was, wherever it is by now.
    folder: FolderId,
    _lock: LockFile,
}

/// What tells a folder from another one that comes to its place: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderId(u64, u64);

impl FolderId {
    fn of(layout: &Layout) -> Result<Self> {
        let path = layout.root();
        let found = std::fs::metadata(path).map_err(|source| Error::Io {
            action: "look at",
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self(found.dev(), found.ino()))
    }
}

impl Tenant {
    /// The name, and the folder that it had.
    pub(crate) fn known(&self) -> (String, FolderId) {
        (self.fleet.config.tenant.name.clone(), self.folder)
    }

    fn open(layout: &Layout, name: &str, environment: &Environment) -> Result<Self> {
        let own = layout.tenant(name);
        let config = Config::load(&own.config())?;
        if config.tenant.name != name {
            return Err(Error::Config {
                path: own.config(),
                reason: format!("tenant.name is not \"{name}\", the name of its folder"),
            });
        }
        let lock = setup::lock_to_serve(&own, &config)?;
        let folder = FolderId::of(&own)?;
        let fleet = Arc::new(Fleet::open(own, config, environment.clone())?);
        Ok(Self { fleet, folder, _lock: lock })
    }
}

impl From<Arc<Fleet>> for Tenants {
    fn from(default: Arc<Fleet>) -> Self {
        Self { default, others: Vec::new(), _lock: None }
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
            _lock: Some(setup::lock_to_serve(layout, &config)?),
            default: Arc::new(Fleet::open(layout.clone(), config, environment.clone())?),
            others: Vec::new(),
        };
        for name in names(layout)? {
            tenants.others.push(Tenant::open(layout, &name, environment)?);
        }
        check_hosts(tenants.all())?;
        Ok(tenants)
    }

    /// All of them; the one that every server has comes first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Fleet>> {
        std::iter::once(&self.default).chain(self.others.iter().map(|tenant| &tenant.fleet))
    }
}

/// What has become of the tenants since they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Those that are there now.
    pub(crate) new: Vec<Tenant>,
    /// The names of those whose folders are gone, or are others.
    pub(crate) gone: Vec<String>,
    /// Those that could not be taken up, and why.
    pub(crate) refused: Vec<(String, Error)>,
}

/// Looks for what has changed. `served`: the tenants by now, the one that every server has first.
///
/// # Errors
/// When the folder of tenants cannot be read: then all stays as it is.
pub(crate) fn changes(
    default: &Arc<Fleet>,
    served: &[(Arc<Fleet>, (String, FolderId))],
) -> Result<Changes> {
    let layout = &default.layout;
    let names = names(layout)?;
    let mut changes = Changes::default();
    let mut fleets = vec![Arc::clone(default)];
    for (fleet, (name, folder)) in served {
        let stays = names.contains(name)
            && FolderId::of(&layout.tenant(name)).is_ok_and(|found| found == *folder);
        if stays {
            fleets.push(Arc::clone(fleet));
        } else {
            changes.gone.push(name.clone());
        }
    }
    for name in names {
        if fleets.iter().any(|fleet| fleet.config.tenant.name == name) {
            continue;
        }
        let opened = Tenant::open(layout, &name, &default.environment).and_then(|tenant| {
            check_hosts(fleets.iter().chain([&tenant.fleet]))?;
            Ok(tenant)
        });
        match opened {
            Ok(tenant) => {
                fleets.push(Arc::clone(&tenant.fleet));
                changes.new.push(tenant);
            }
            Err(error) => changes.refused.push((name, error)),
        }
    }
    Ok(changes)
}

fn check_hosts<'a>(fleets: impl Iterator<Item = &'a Arc<Fleet>>) -> Result<()> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for fleet in fleets {
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
