//! Targets that others sign, in files of their own.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use updraft_error::Kind;
use updraft_http::Method;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Envelope, Sign};

use super::targets::TargetArguments;
use super::{DIALECT, RepoName, check_name, read_json, write_json};

/// Work on targets that others sign.
#[derive(Debug, Args)]
pub(super) struct Delegations {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print delegated targets without any target.
    Init,
    /// Sign delegated targets.
    Sign {
        /// A key outside of repositories.
        #[arg(long, short = 'k', value_name = "NAME", required = true)]
        key_name: Vec<String>,
        /// Where the keys are; without this, `user-keys` in the home folder.
        #[arg(long, short = 'p', value_name = "FOLDER")]
        keys_path: Option<PathBuf>,
        #[command(flatten)]
        file: File,
    },
    /// Send signed delegated targets to the server.
    Push {
        #[command(flatten)]
        repo: RepoName,
        /// The name of the role.
        #[arg(long, short)]
        name: String,
        /// The signed file.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
    },
    /// Fetch delegated targets from the server.
    Pull {
        #[command(flatten)]
        repo: RepoName,
        /// The name of the role.
        #[arg(long, short)]
        name: String,
        /// Where to write them; without this they are printed.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Add a target to delegated targets.
    AddTarget {
        #[command(flatten)]
        target: TargetArguments,
        #[command(flatten)]
        file: File,
    },
}

/// The file to work on.
#[derive(Debug, Args)]
struct File {
    /// The file.
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// Change the file itself; without this the result is printed.
    #[arg(long, short = 'e')]
    inplace: bool,
}

impl File {
    /// Reads what is to be signed, signed already or not.
    fn read(&self) -> Result<Value> {
        let mut json = read_json(&self.input)?;
        match json.get_mut("signed") {
            Some(signed) => Ok(signed.take()),
            None => Ok(json),
        }
    }

    fn write(&self, value: &Value, terminal: &Terminal) -> Result {
        if self.inplace { write_json(&self.input, value, 0o644) } else { terminal.json(value) }
    }
}

impl Delegations {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Init => {
                let expires = super::expiry::later(Timestamp::now(), 1.year())?;
                terminal.json(&super::targets::empty(1, expires))
            }
            Command::Sign { key_name, keys_path, file } => {
                let folder = super::keys::user_keys(home, keys_path.as_deref());
                let keys = key_name.iter().map(|name| folder.private(name));
                let keys = keys.collect::<Result<Vec<_>>>()?;
                let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
                let envelope = Envelope::sign(DIALECT, file.read()?, &keys)
                    .map_err(|error| Failure::of(Kind::Invalid, error))?;
                file.write(&envelope.to_value(DIALECT), terminal)
            }
            Command::Push { repo, name, input } => {
                check_name(name)?;
                let envelope = Envelope::from_value(DIALECT, read_json(input)?)
                    .with_context(|| format!("`{}` is not signed metadata", input.display()))?;
                let body = envelope.to_bytes(DIALECT)?;
                repo.open(home)?.send(Method::Put, &format!("delegations/{name}.json"), &body)
            }
            Command::Pull { repo, name, output } => {
                check_name(name)?;
                let fetched = repo.open(home)?.fetch(&format!("delegations/{name}.json"))?;
                match output {
                    None => terminal.bytes(&fetched.bytes),
                    Some(path) => Ok(updraft_fs::atomic_write_path(path, &fetched.bytes, 0o644)?),
                }
            }
            Command::AddTarget { target, file } => {
                let mut payload = file.read()?;
                if payload["_type"] != "Targets" {
                    let message = format!("`{}` has no targets", file.input.display());
                    return Err(Failure::new(Kind::Invalid, message));
                }
                target.target()?.enter(&mut payload, Timestamp::now())?;
                file.write(&payload, terminal)
            }
        }
    }
}
