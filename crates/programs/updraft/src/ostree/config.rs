//! `ostree config`.

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use super::program::Usage;
use super::repository::Location;

/// Read and change the repository's configuration.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The group, when its name or the key's holds dots or quotes.
    #[arg(long)]
    group: Option<String>,
    /// What to do: get, set or unset.
    #[arg(value_name = "OPERATION")]
    operation: Option<String>,
    /// SECTION.KEY (or KEY with --group), and the new value for `set`.
    #[arg(value_name = "KEY VALUE")]
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let operation = self.operation()?;
        let (key, value) = self.key_and_value(operation)?;
        let (group, key) = match &self.group {
            Some(group) => (group.clone(), key.to_owned()),
            None => split(key)?,
        };
        match operation {
            Operation::Get => {
                let value = repo.config().key_file().get(&group, &key);
                let value = value.ok_or_else(|| missing(&repo, &group, &key))?;
                let setting = Setting { group, key, value };
                terminal.show(&setting, |setting| terminal.line(&setting.value))
            }
            Operation::Set => {
                check_names(&group, &key)?;
                Ok(repo.edit_config(|file| {
                    file.set(&group, &key, value);
                })?)
            }
            Operation::Unset => Ok(repo.edit_config(|file| {
                file.remove(&group, &key);
            })?),
        }
    }

    fn operation(&self) -> Result<Operation> {
        match self.operation.as_deref() {
            Some("get") => Ok(Operation::Get),
            Some("set") => Ok(Operation::Set),
            Some("unset") => Ok(Operation::Unset),
            Some(other) => Err(Failure::new(Kind::Invalid, format!("Unknown operation {other}"))),
            None => Err(Usage::failure("OPERATION must be specified")),
        }
    }

    fn key_and_value(&self, operation: Operation) -> Result<(&str, &str)> {
        let grouped = self.group.is_some();
        let invalid = |message: &str| Err(Failure::new(Kind::Invalid, message));
        match (operation, self.words.as_slice()) {
            (Operation::Set, [key, value]) => Ok((key, value)),
            (Operation::Get | Operation::Unset, [key]) => Ok((key, "")),
            (Operation::Set, [] | [_]) if grouped => {
                invalid("GROUP name, KEY and VALUE must be specified")
            }
            (Operation::Set, [] | [_]) => invalid("KEY and VALUE must be specified"),
            (_, []) if grouped => invalid("Group name and key must be specified"),
            (_, []) => invalid("KEY must be specified"),
            _ => Err(Usage::failure("Too many arguments given")),
        }
    }
}

/// Refuses what could not be read again.
fn check_names(group: &str, key: &str) -> Result {
    if is_no_name(group) || group.contains(['[', ']']) {
        return Err(Failure::new(Kind::Invalid, format!("Invalid group name: {group}")));
    }
    check_key(key)
}

/// Refuses a key that would not be read again.
pub(super) fn check_key(key: &str) -> Result {
    if is_no_name(key) || key.contains(['=', '[', ']']) || key.trim() != key {
        return Err(Failure::new(Kind::Invalid, format!("Invalid key name: {key}")));
    }
    Ok(())
}

fn is_no_name(text: &str) -> bool {
    text.is_empty() || text.chars().any(char::is_control)
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
