//! Remotes: sections `[remote "NAME"]` of the configuration.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::{KeyFile, RemoteName};

use crate::config::CORE;
use crate::{Error, Repo, Result};

/// Where a system keeps files `*.conf`, each with sections of remotes.
pub(crate) const REMOTES_DIR: &str = "/etc/ostree/remotes.d";
/// The largest file of remotes.
const MAX_FILE: u64 = 1 << 20;

/// A repository elsewhere that refs are pulled from.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its name.
    pub name: RemoteName,
    /// Where it is: `http:`, `https:` or `file:`. May begin with `mirrorlist=`.
    pub url: Option<String>,
    /// Where its objects are, when not at `url`.
    pub content_url: Option<String>,
    /// What is pulled when nothing else is said.
    pub branches: Vec<String>,
    /// Whether commits must have a good OpenPGP signature (the default).
    pub gpg_verify: bool,
    /// Why it cannot be used yet, in words.
    pub unconfigured_state: Option<String>,
    /// The PEM file of the certificate that identifies us.
    pub tls_client_cert_path: Option<String>,
    /// The PEM file of its key.
    pub tls_client_key_path: Option<String>,
    /// The PEM file of the authorities we trust.
    pub tls_ca_path: Option<String>,
}

pub(crate) fn group(name: &RemoteName) -> String {
    format!("remote \"{name}\"")
}

impl Remote {
    fn read(file: &KeyFile, name: RemoteName) -> Result<Option<Self>> {
        let group = group(&name);
        if !file.has_group(&group) {
            return Ok(None);
        }
        let text = |key| file.get(&group, key);
        Ok(Some(Self {
            url: text("url"),
            content_url: text("contenturl"),
            branches: file.get_list(&group, "branches").unwrap_or_default(),
            gpg_verify: file.get_bool(&group, "gpg-verify")?.unwrap_or(true),
            unconfigured_state: text("unconfigured-state"),
            tls_client_cert_path: text("tls-client-cert-path"),
            tls_client_key_path: text("tls-client-key-path"),
            tls_ca_path: text("tls-ca-path"),
            name,
        }))
    }
}

impl Repo {
    /// The names of all remotes, sorted.
    pub fn remotes(&self) -> Result<Vec<RemoteName>> {
        let config = self.remotes_config()?;
        let names = config.groups().into_iter().filter_map(|group| {
            let name = group.strip_prefix("remote \"")?.strip_suffix('"')?;
            RemoteName::new(name).ok()
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        Ok(names)
    }

    /// The configuration of all remotes: those of the repository itself, those of the files of
    /// [`REMOTES_DIR`] where the repository is the system's or says so, and those of its parent.
    /// What comes earlier wins.
    pub fn remotes_config(&self) -> Result<KeyFile> {
        let mut all = KeyFile::new();
        for repo in std::iter::once(self).chain(self.parents()?) {
            let config = repo.config();
            let own = config.key_file();
            merge(&mut all, own);
            let system =
                matches!(repo.path().to_str(), Some("/ostree/repo" | "/sysroot/ostree/repo"));
            if own.get_bool(CORE, "add-remotes-config-dir")?.unwrap_or(system) {
                for file in remotes_in(Path::new(REMOTES_DIR))? {
                    merge(&mut all, &file);
                }
            }
        }
        Ok(all)
    }

    /// One remote.
    pub fn remote(&self, name: &RemoteName) -> Result<Remote> {
        Remote::read(&self.remotes_config()?, name.clone())?
            .ok_or_else(|| Error::NoSuchRemote(name.to_string()))
    }

    /// Adds a remote with these keys of its section. Lists are separated by `;`.
    pub fn add_remote(&self, name: &RemoteName, options: &[(&str, &str)]) -> Result<()> {
        if self.config().key_file().has_group(&group(name)) {
            let message =
                format!("Remote configuration for \"{name}\" already exists: (in config)");
            return Err(Error::other(Kind::Conflict, message));
        }
        self.edit_config(|file| {
            for (key, value) in options {
                file.set(&group(name), key, value);
            }
        })
    }

    /// Removes a remote's section. Its refs stay.
    pub fn delete_remote(&self, name: &RemoteName) -> Result<()> {
        if !self.config().key_file().has_group(&group(name)) {
            return Err(Error::NoSuchRemote(name.to_string()));
        }
        self.edit_config(|file| {
            file.remove_group(&group(name));
        })
    }
}

/// Adds the sections of remotes that are not there yet.
fn merge(all: &mut KeyFile, more: &KeyFile) {
    for group in more.groups() {
        if !group.starts_with("remote \"") || all.has_group(group) {
            continue;
        }
        for key in more.keys(group) {
            if let Some(value) = more.get_raw(group, key) {
                all.set(group, key, value);
            }
        }
    }
}

/// The files of a folder of remotes, in the order of their names.
fn remotes_in(path: &Path) -> Result<Vec<KeyFile>> {
    let dir = match Dir::open(path) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut files = Vec::new();
    for entry in dir.sorted_entries()? {
        let name = Path::new(&entry.name);
        if name.extension().is_none_or(|end| end != "conf") {
            continue;
        }
        let text = dir.read(name, MAX_FILE)?;
        let invalid = |source| Error::Config { path: path.join(name), source };
        files.push(KeyFile::parse(&String::from_utf8_lossy(&text)).map_err(invalid)?);
    }
    Ok(files)
}
