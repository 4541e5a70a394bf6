//! `ostree config`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use super::repository::Location;

/// Read and change the repository's configuration.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The group, when its name or the key's holds dots or quotes.
    #[arg(long)]
    group: Option<String>,
    /// What to do.
    operation: Operation,
    /// SECTION.KEY, or KEY with --group.
    #[arg(value_name = "KEY")]
    key: String,
    /// The new value, for `set`.
    value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operation {
    Get,
    Set,
    Unset,
}

#[derive(Serialize)]
struct Setting {
    group: String,
    key: String,
    value: String,
}

impl Config {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let (group, key) = match &self.group {
            Some(group) => (group.clone(), self.key.clone()),
            None => split(&self.key)?,
        };
        match (self.operation, &self.value) {
            (Operation::Get, None) => {
                let value = repo.config().key_file().get(&group, &key);
                let value = value.ok_or_else(|| missing(&repo, &group, &key))?;
                let setting = Setting { group, key, value };
                terminal.show(&setting, |setting| terminal.line(&setting.value))
            }
            (Operation::Set, Some(value)) => Ok(repo.edit_config(|file| {
                file.set(&group, &key, value);
            })?),
            (Operation::Unset, None) => Ok(repo.edit_config(|file| {
                file.remove(&group, &key);
            })?),
            (Operation::Set, None) => {
                Err(Failure::new(Kind::Invalid, "KEY and VALUE must be specified"))
            }
            (_, Some(_)) => Err(Failure::new(Kind::Invalid, "Too many arguments given")),
        }
    }
}

fn split(key: &str) -> Result<(String, String)> {
    let bad = "Key must be of the form \"sectionname.keyname\"";
    let (group, key) = key.split_once('.').ok_or_else(|| Failure::new(Kind::Invalid, bad))?;
    Ok((group.to_owned(), key.to_owned()))
}

fn missing(repo: &updraft_repo::Repo, group: &str, key: &str) -> Failure {
    let message = if repo.config().key_file().has_group(group) {
        format!("Key file does not have key “{key}” in group “{group}”")
    } else {
        format!("Key file does not have group “{group}”")
    };
    Failure::new(Kind::NotFound, message)
}
