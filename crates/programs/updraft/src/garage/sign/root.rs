//! Roots: edited, signed, pulled and pushed.

use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_terminal::{Failure, Result, Terminal};
use updraft_tuf::PublicKey;

use super::expiry::Expiry;
use super::repo::{Role, Trust, TufRepo, expiry_of, stamp, version_of};
use super::targets::{add_external, next_version};
use super::{DIALECT, RepoName, canonical};

/// Work on the root.
#[derive(Debug, Args)]
pub(super) struct Root {
    #[command(flatten)]
    repo: RepoName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch the root of the server; it must follow from the one here.
    Pull {
        /// Believe the server, whatever is here.
        #[arg(long, hide = true)]
        force: bool,
    },
    /// Send the signed root to the server.
    Push,
    /// Print what will be signed, in canonical form.
    GetUnsigned,
    /// Change who signs roots.
    Key(RoleKeys),
    /// Change who signs targets.
    TargetsKey(RoleKeys),
    /// Sign the root as edited.
    Sign(SignRoot),
    /// Raise the version.
    IncrementVersion,
}

/// Sign the root as edited.
#[derive(Debug, Args)]
struct SignRoot {
    /// A key.
    #[arg(long, short = 'k', value_name = "NAME")]
    key_name: Vec<String>,
    /// The key that signed roots before, as `move-offline` saved it.
    #[arg(long, value_name = "NAME")]
    old_root_alias: Option<String>,
    /// Signatures that were made elsewhere, over exactly what `get-unsigned` prints:
    /// NAME=BASE64, where NAME is that of the public key.
    #[arg(long, value_name = "NAME=BASE64", value_delimiter = ',')]
    signatures: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
}

/// Change who signs.
#[derive(Debug, Args)]
struct RoleKeys {
    #[command(subcommand)]
    command: RoleKeysCommand,
}

#[derive(Debug, Subcommand)]
enum RoleKeysCommand {
    /// Let these keys sign, too.
    Add {
        /// The name of a public key.
        #[arg(long, short = 'k', value_name = "NAME", required = true)]
        key_name: Vec<String>,
    },
    /// Let these keys sign no longer.
    Remove {
        /// The name of a public key.
        #[arg(long, short = 'k', value_name = "NAME", required_unless_present = "key_id")]
        key_name: Vec<String>,
        /// The id of a key.
        #[arg(long, value_name = "ID")]
        key_id: Vec<String>,
    },
}

impl Root {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        let repo = self.repo.open(home)?;
        match &self.command {
            Command::Pull { force } => {
                repo.pull_root(if *force { Trust::Server } else { Trust::Chain })
            }
            Command::Push => repo.push_root(),
            Command::GetUnsigned => terminal.bytes(&canonical(&repo.unsigned(Role::Root)?)?),
            Command::Key(keys) => keys.run(&repo, "root"),
            Command::TargetsKey(keys) => keys.run(&repo, "targets"),
            Command::Sign(sign) => sign.run(&repo),
            Command::IncrementVersion => repo.edit_root(|root| {
                root["version"] = json!(version_of(root).saturating_add(1));
                Ok(())
            }),
        }
    }
}

impl SignRoot {
    fn run(&self, repo: &TufRepo) -> Result {
        let names: Vec<String> =
            self.key_name.iter().chain(&self.old_root_alias).cloned().collect();
        repo.sign_root(&names, &self.signatures, &self.expiry)
    }
}

impl RoleKeys {
    fn run(&self, repo: &TufRepo, role: &str) -> Result {
        let keys = repo.keys();
        match &self.command {
            RoleKeysCommand::Add { key_name } => {
                let keys: Vec<PublicKey> =
                    key_name.iter().map(|name| keys.public(name)).collect::<Result<_>>()?;
                repo.edit_root(|root| keys.iter().try_for_each(|key| add_key(root, role, key)))
            }
            RoleKeysCommand::Remove { key_name, key_id } => {
                let mut ids = key_id.clone();
                for name in key_name {
                    ids.push(repo.key_id(&keys.public(name)?)?.to_string());
                }
                repo.edit_root(|root| ids.iter().try_for_each(|id| remove_key(root, role, id)))
            }
        }
    }
}

impl TufRepo {
    pub(super) fn edit_root(&self, edit: impl FnOnce(&mut Value) -> Result) -> Result {
        let mut root = self.unsigned(Role::Root)?;
        edit(&mut root)?;
        self.write_unsigned(Role::Root, &root)
    }

    /// Signs the root as edited. A root that was not edited since it was signed gets further
    /// signatures.
    pub(super) fn sign_root(
        &self,
        keys: &[String],
        signatures: &[String],
        expiry: &Expiry,
    ) -> Result {
        let payload = self.unsigned(Role::Root)?;
        let before = self.signed(Role::Root)?;
        let expires = expiry.after(expiry_of(&payload)?, Timestamp::now())?;
        let is_same = expires == expiry_of(&payload)?;
        let mut envelope = match before {
            Some(envelope) if is_same && envelope.signed == payload => envelope,
            before => {
                let mut signed = payload;
                let version = before.map(|envelope| version_of(&envelope.signed));
                let version = next_version(version_of(&signed), version);
                stamp(&mut signed, version, expires);
                updraft_tuf::Envelope { signatures: Vec::new(), signed }
            }
        };
        for entry in signatures {
            add_external(self, &mut envelope, entry)?;
        }
        if !keys.is_empty() || signatures.is_empty() {
            envelope = self.add_signatures(envelope, &self.private_keys(keys)?)?;
        }
        self.write_signed(Role::Root, &envelope)
    }

    /// Sends the signed root to the server.
    pub(super) fn push_root(&self) -> Result {
        let envelope = self.signed(Role::Root)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, "there is no signed root here")
                .hint("`garage-sign root pull`, edit it, and `garage-sign root sign`")
        })?;
        self.send(Method::Post, "root", &envelope.to_bytes(DIALECT)?)
    }
}

/// Lets a key sign for a role.
pub(super) fn add_key(root: &mut Value, role: &str, key: &PublicKey) -> Result {
    let keys = root["keys"].as_object_mut().ok_or_else(no_root)?;
    let known = keys.iter().find(|(_, json)| {
        PublicKey::from_json(json).ok().flatten().is_some_and(|other| other == *key)
    });
    let id = known.map_or_else(|| key.key_id(DIALECT).to_string(), |(id, _)| id.clone());
    keys.entry(id.clone()).or_insert_with(|| key.to_json(DIALECT));
    let ids = root["roles"][role]["keyids"].as_array_mut().ok_or_else(no_root)?;
    if !ids.iter().any(|other| *other == id) {
        ids.push(id.into());
    }
    Ok(())
}

/// Lets a key no longer sign for a role. A key of no role at all is forgotten.
pub(super) fn remove_key(root: &mut Value, role: &str, id: &str) -> Result {
    let ids = root["roles"][role]["keyids"].as_array_mut().ok_or_else(no_root)?;
    let count = ids.len();
    ids.retain(|other| other != id);
    if ids.len() == count {
        return Err(Failure::new(Kind::NotFound, format!("the key {id} does not sign {role}")));
    }
    let roles = root["roles"].as_object().ok_or_else(no_root)?;
    let is_used = roles.values().any(|role| {
        role["keyids"].as_array().is_some_and(|ids| ids.iter().any(|other| other == id))
    });
    if !is_used && let Some(keys) = root["keys"].as_object_mut() {
        keys.remove(id);
    }
    Ok(())
}

fn no_root() -> Failure {
    Failure::new(Kind::Invalid, "the root that is edited is broken")
}
