//! `ostree remote add`.

use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_ostree::{KeyFile, RemoteName};
use updraft_repo::Repo;
use updraft_repo::sign::SignType;
use updraft_terminal::{Failure, Result, Terminal};

use super::{group, keys};
use crate::ostree::config;
use crate::ostree::program::Usage;
use crate::ostree::repository::{self, Location};

/// Add a remote repository.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Set an option of the remote.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Do not ask for OpenPGP signatures.
    #[arg(long)]
    no_gpg_verify: bool,
    /// Import the OpenPGP keys in this file.
    #[arg(long, value_name = "FILE")]
    gpg_import: Option<PathBuf>,
    /// Do not ask for signatures, of OpenPGP neither.
    #[arg(long)]
    no_sign_verify: bool,
    /// Demand signatures: TYPE=inline:KEY or TYPE=file:PATH.
    #[arg(long, value_name = "TYPE=KEY")]
    sign_verify: Vec<String>,
    /// Do nothing when the remote exists.
    #[arg(long)]
    if_not_exists: bool,
    /// Replace the remote when it exists.
    #[arg(long)]
    force: bool,
    /// Fetch objects from here.
    #[arg(long, value_name = "URL")]
    contenturl: Option<String>,
    /// The collection of the remote's refs.
    #[arg(long, value_name = "ID")]
    collection_id: Option<String>,
    /// Handled by another program.
    #[arg(long, value_name = "NAME")]
    custom_backend: Option<String>,
    /// Add it to this system root: to the deployment's /etc where it is one that runs.
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// The name of the remote.
    name: String,
    /// Where it is: [metalink=|mirrorlist=]URL.
    url: Option<String>,
    /// What is pulled when nothing else is said.
    branches: Vec<String>,
}

impl Add {
    pub(super) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        if self.url.is_none() && self.custom_backend.is_none() {
            return Err(Usage::failure("NAME and URL must be specified"));
        }
        if self.if_not_exists && self.force {
            return Err(Usage::failure("Can only specify one of --if-not-exists and --force"));
        }
        if !self.sign_verify.is_empty() && self.no_sign_verify {
            let message = "Cannot specify both --sign-verify and --no-sign-verify";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let place = match &self.sysroot {
            Some(sysroot) => Place::in_sysroot(sysroot)?,
            None => Place { repo: location.open()?, folder: None },
        };
        let repo = &place.repo;
        let name = RemoteName::new(self.name.as_str())?;
        let group = group(name.as_str());
        if repo.config().key_file().has_group(&group) {
            if self.if_not_exists {
                return Ok(());
            }
            if !self.force {
                let message =
                    format!("Remote configuration for \"{name}\" already exists: (in config)");
                return Err(Failure::new(Kind::Conflict, message).hint("replace it with --force"));
            }
        }
        let settings = self.settings()?;
        place.write(&name, &settings)?;
        match &self.gpg_import {
            Some(path) => keys::import(repo, &name, &keys::read(path)?, &[], terminal),
            None => Ok(()),
        }
    }

    /// The keys of the new group, in the order in which the peer writes them.
    fn settings(&self) -> Result<Vec<(String, String)>> {
        let mut settings = Vec::new();
        let mut set = |key: &str, value: &str| settings.push((key.to_owned(), value.to_owned()));
        if let Some(url) = &self.url {
            match url.strip_prefix("metalink=") {
                Some(url) => set("metalink", url),
                None => set("url", url),
            }
        }
        if !self.branches.is_empty() {
            set("branches", &(self.branches.join(";") + ";"));
        }
        if let Some(url) = &self.contenturl {
            set("contenturl", url);
        }
        if let Some(backend) = &self.custom_backend {
            set("custom-backend", backend);
        }
        for option in &self.set {
            let (key, value) = option.split_once('=').ok_or_else(|| {
                let message = "Missing '=' in KEY=VALUE for --set";
                Failure::new(Kind::Invalid, message)
            })?;
            config::check_key(key)?;
            set(key, value);
        }
        if self.no_gpg_verify || self.no_sign_verify {
            set("gpg-verify", "false");
        }
        if self.no_sign_verify {
            set("sign-verify", "false");
        }
        let mut types = Vec::new();
        for option in &self.sign_verify {
            let invalid = |message: String| Failure::new(Kind::Invalid, message);
            let (of, reference) = option.split_once('=').ok_or_else(|| {
                invalid(format!("Failed to parse KEYTYPE=[inline|file]:DATA in {option}"))
            })?;
            of.parse::<SignType>()?;
            let key = match reference.split_once(':') {
                Some(("inline", key)) => ("key", key),
                Some(("file", path)) => ("file", path),
                _ => {
                    let kind = reference.split(':').next().unwrap_or_default();
                    let message = format!("Invalid key reference {kind}, expected inline|file");
                    return Err(invalid(message).hint("use inline:KEY or file:PATH"));
                }
            };
            set(&format!("verification-{of}-{}", key.0), key.1);
            types.push(of);
        }
        if !types.is_empty() {
            set("sign-verify", &types.join(";"));
        }
        if let Some(id) = &self.collection_id {
            set("collection-id", id);
        }
        Ok(settings)
    }
}

/// Where a remote is added.
pub(super) struct Place {
    pub(super) repo: Repo,
    /// A folder of one file for each remote, instead of the repository's configuration.
    folder: Option<PathBuf>,
}

impl Place {
    /// A system root that runs, or that is mounted as if it did, keeps remotes in the `/etc` of
    /// its deployment, unless its repository says otherwise.
    pub(super) fn in_sysroot(sysroot: &Path) -> Result<Self> {
        let repo = repository::open(&sysroot.join("ostree/repo"))?;
        // The physical root is seen from a deployment as `/sysroot`.
        let is_deployment = sysroot.join("sysroot").exists();
        let wanted = repo.config().key_file().get_bool("core", "add-remotes-config-dir")?;
        let folder =
            (is_deployment && wanted.unwrap_or(true)).then(|| sysroot.join("etc/ostree/remotes.d"));
        Ok(Self { repo, folder })
    }

    /// Removes the file of a remote, where it has one. Says whether it had.
    pub(super) fn remove_file(&self, name: &str) -> Result<bool> {
        let name = RemoteName::new(name)?;
        let Some(folder) = self.folder.as_ref().filter(|folder| folder.is_dir()) else {
            return Ok(false);
        };
        Ok(Dir::open(folder)?.try_unlink(format!("{name}.conf"))?)
    }

    fn write(&self, name: &RemoteName, settings: &[(String, String)]) -> Result {
        let group = group(name.as_str());
        let put = |file: &mut KeyFile| {
            file.remove_group(&group);
            for (key, value) in settings {
                file.set(&group, key, value);
            }
        };
        let Some(folder) = &self.folder else { return Ok(self.repo.edit_config(put)?) };
        let mut file = KeyFile::new();
        put(&mut file);
        let folder = Dir::create_all(folder, 0o755)?;
        // Commit point: the rename within.
        Ok(atomic_write(&folder, format!("{name}.conf"), file.to_string().as_bytes(), 0o644)?)
    }
}
