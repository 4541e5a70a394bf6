//! garage-sign and uptane-sign: the Image repository's root and targets, edited and signed in a
//! folder here.
//!
//! ```text
//! HOME/                       --home-dir, `tuf` by default
//!   user-keys/NAME.{pub,sec}  keys that belong to no repository
//!   REPO/
//!     config.json             where the server is, and who we are to it
//!     credentials.zip         what it was made from
//!     keys/NAME.{pub,sec}
//!     roles/root.json         as pulled or signed
//!     roles/targets.json      as signed
//!     roles/targets.json.checksum   which ones the server had when they were pulled
//!     roles/unsigned/{root,targets}.json
//! ```

mod delegations;
mod expiry;
mod keys;
mod offline;
mod repo;
mod root;
mod target;
mod targets;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Dialect, PublicKey};

use super::Talk;
pub(super) use repo::TufRepo;
pub(super) use target::NewTarget;

/// The wire form of everything here.
pub(super) const DIALECT: Dialect = Dialect::Uptane;

/// Sign roots and targets in a folder here, as garage-sign and uptane-sign do.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Sign {
    #[command(flatten)]
    talk: Talk,
    /// Print help.
    #[arg(long, global = true, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The folder of repositories.
    #[arg(long, short = 'h', global = true, value_name = "FOLDER", default_value = "tuf")]
    home_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

/// Which repository is meant.
#[derive(Debug, Clone, Args)]
struct RepoName {
    /// The repository: a folder in the home folder.
    #[arg(long = "repo", short = 'r', global = true, value_name = "NAME")]
    repo: Option<String>,
}

impl RepoName {
    fn open(&self, home: &Path) -> Result<TufRepo> {
        TufRepo::open(&self.path(home)?)
    }

    fn path(&self, home: &Path) -> Result<PathBuf> {
        let name = self.repo.as_deref().ok_or_else(|| {
            Failure::new(Kind::Invalid, "no repository was named").hint("name one with --repo")
        })?;
        check_name(name)?;
        Ok(home.join(name))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a repository here from credentials.
    Init {
        #[command(flatten)]
        name: RepoName,
        /// The credentials.
        #[arg(long, short, value_name = "FILE", default_value = "credentials.zip")]
        credentials: PathBuf,
        /// The server, when not the one of the credentials.
        #[arg(long, value_name = "URL")]
        reposerver: Option<String>,
        /// `reposerver` or `director`.
        #[arg(long, short = 't', value_name = "TYPE", default_value = "reposerver",
              value_parser = ["reposerver", "director"])]
        servertype: String,
    },
    /// Make keys of a repository.
    Key(keys::RepoKeys),
    /// Make and look at keys that belong to no repository.
    UserKeys(keys::UserKeys),
    /// Take the keys of a repository away from the server.
    MoveOffline(offline::MoveOffline),
    /// Work on root metadata.
    Root(root::Root),
    /// Work on targets metadata.
    Targets(targets::Targets),
    /// Work on metadata of delegated targets.
    Delegations(delegations::Delegations),
    /// Sign any JSON with a key.
    SignJson(keys::SignJson),
    /// Check the signatures of JSON with a key.
    VerifyJson(keys::VerifyJson),
    /// Print the targets that the server has.
    GetTargets {
        #[command(flatten)]
        name: RepoName,
    },
    /// Check that a root is signed by its own keys.
    VerifyRoot {
        #[command(flatten)]
        name: RepoName,
        /// The root.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
    },
    /// Write credentials with a key of the repository as its targets key.
    ExportCredentials(offline::ExportCredentials),
    /// Show a client certificate to the server from now on.
    ImportClientCert(offline::ImportClientCert),
}

impl Sign {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let home = &self.home_dir;
        match &self.command {
            Command::Init { name, credentials, reposerver, servertype } => {
                let path = name.path(home)?;
                let is_director = servertype == "director";
                TufRepo::init(&path, credentials, reposerver.as_deref(), is_director)?;
                super::say(terminal, &self.talk, format!("made {}", path.display()));
                Ok(())
            }
            Command::Key(keys) => keys.run(home, terminal),
            Command::UserKeys(keys) => keys.run(home, terminal),
            Command::MoveOffline(offline) => offline.run(home, terminal),
            Command::Root(root) => root.run(home, terminal),
            Command::Targets(targets) => targets.run(home, terminal),
            Command::Delegations(delegations) => delegations.run(home, terminal),
            Command::SignJson(sign) => sign.run(terminal),
            Command::VerifyJson(verify) => verify.run(terminal),
            Command::GetTargets { name } => {
                let targets = name.open(home)?.fetch("targets.json")?;
                terminal.bytes(&targets.bytes)
            }
            Command::VerifyRoot { input, .. } => {
                let bytes = super::credentials::read_file(input)?;
                updraft_publish::ImageRepository::new(DIALECT, &bytes, jiff::Timestamp::MIN)?;
                terminal.say("the root is signed by its own keys");
                Ok(())
            }
            Command::ExportCredentials(export) => export.run(home, terminal),
            Command::ImportClientCert(import) => import.run(home, terminal),
        }
    }
}

/// Refuses names that would lead out of their folder.
pub(super) fn check_name(name: &str) -> Result {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    if !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits) {
        return Ok(());
    }
    let message = format!("`{}` is no name: A-Z a-z 0-9 . _ - + @", name.escape_default());
    Err(Failure::new(Kind::Invalid, message))
}

/// Reads JSON of a size that metadata may have.
pub(super) fn read_json(path: &Path) -> Result<Value> {
    let failed = || format!("failed to read `{}`", path.display());
    let bytes = super::credentials::read_file(path).with_context(failed)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::of(Kind::Invalid, error).context(failed()))
}

/// Reads a public key file.
fn read_public(path: &Path) -> Result<PublicKey> {
    let failed = || format!("failed to read the public key `{}`", path.display());
    let json = read_json(path)?;
    let key = PublicKey::from_json(&json).with_context(failed)?;
    key.ok_or_else(|| Failure::new(Kind::Unsupported, "its type is unknown").context(failed()))
}

/// Writes JSON for people to read, whole or not at all.
fn write_json(path: &Path, value: &Value, mode: u32) -> Result {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| Failure::of(Kind::Invalid, error))?;
    bytes.push(b'\n');
    Ok(updraft_fs::atomic_write_path(path, &bytes, mode)?)
}

/// The bytes that signatures are over.
fn canonical(value: &Value) -> Result<Vec<u8>> {
    Ok(updraft_tuf::canonical::encode(DIALECT, value)?)
}
