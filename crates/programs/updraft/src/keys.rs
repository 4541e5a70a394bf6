//! `updraft keys …`: the keys that vouch for what devices may run.

mod delegate;
mod init;
mod list;
mod publish_tuf;
mod rotate;
mod sign;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use updraft_api::{OnlineKeys, paths};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_fs::atomic_write_path;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::PublicKey;

pub(crate) use sign::SignRequest;

use crate::server::Server;
use crate::signing::{DIALECT, KeysOption};

/// Make, list and rotate signing keys; sign requests.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    keys: KeysOption,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    /// List the keys of the folder and the roles they sign for.
    Ls,
    /// Show one key.
    Show {
        /// The key's id, or its first digits.
        key: String,
    },
    /// Make one more key.
    Generate {
        /// What sort of key: ed25519, ecdsa-p256, rsa-2048, rsa-3072, rsa-4096.
        #[arg(long, default_value = "ed25519")]
        algorithm: KeyAlgorithm,
    },
    /// Sign with a key in a token from now on (PKCS#11).
    AddToken {
        /// The key: `pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE` (RFC 7512).
        uri: String,
        /// The program that loads the token's module; without it, the one beside this program, or
        /// in PATH.
        #[arg(long, value_name = "PROGRAM", default_value = "updraftd-keys")]
        helper: PathBuf,
    },
    /// Write a key's public half, for `keys init` or `keys rotate` on another machine.
    Export {
        /// The key's id, or its first digits.
        key: String,
        /// The file to write; without it, stdout.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete a private key. What it signed stays valid until its role is rotated.
    Rm {
        /// The key's id, or its first digits.
        key: String,
        /// Delete it although the trusted root still names it.
        #[arg(long)]
        force: bool,
    },
    /// Write the server's online keys, for `keys init --online-keys` on another machine.
    Online {
        /// The file to write; without it, stdout.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    Rotate(rotate::Rotate),
    Delegate(delegate::Delegate),
    PublishTuf(publish_tuf::PublishTuf),
    Sign(SignRequest),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let folder = || self.keys.open();
        match &self.command {
            Command::Init(init) => init.run(&self.keys.make()?, terminal),
            Command::Ls => list::list(&folder()?, terminal),
            Command::Show { key } => list::show(&folder()?, key, terminal),
            Command::Generate { algorithm } => {
                let key = self.keys.make()?.store.generate(*algorithm)?;
                let value = serde_json::json!({ "keyid": key.key_id(DIALECT).as_str() });
                terminal.show(&value, |_| terminal.line(key.key_id(DIALECT)))
            }
            Command::AddToken { uri, helper } => {
                let store = self.keys.make()?.store;
                let key = store.add_token(uri, &token_helper(helper)).hint(
                    "a wrong PIN is not tried twice; see the token with `pkcs11-tool --list-objects`",
                )?;
                let value = serde_json::json!({ "keyid": key.key_id.as_str() });
                terminal.show(&value, |_| terminal.line(&key.key_id))
            }
            Command::Export { key, output } => {
                let key = list::find(&folder()?, key)?;
                let text = format!("{:#}\n", key.public.to_json(DIALECT));
                write(terminal, output.as_ref(), text.as_bytes())
            }
            Command::Rm { key, force } => {
                let folder = folder()?;
                let key = list::find(&folder, key)?;
                if !force {
                    list::check_unused(&folder, &key)?;
                }
                Ok(folder.store.remove(&key.key_id)?)
            }
            Command::Online { output } => {
                let keys: OnlineKeys = Server::connect()?.get(paths::ONLINE_KEYS)?;
                let text = serde_json::to_string_pretty(&keys)
                    .map_err(|error| Failure::of(Kind::Bug, error))?;
                write(terminal, output.as_ref(), format!("{text}\n").as_bytes())
            }
            Command::Rotate(rotate) => rotate.run(&folder()?, terminal),
            Command::Delegate(delegate) => delegate.run(&folder()?, terminal),
            Command::PublishTuf(publish) => publish.run(&folder()?, terminal),
            Command::Sign(sign) => sign.run(&folder()?, terminal),
        }
    }
}

/// The program that loads the modules of tokens: the one that came with this program is the one that
/// fits.
pub(crate) fn token_helper(named: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(named)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| named.to_owned())
}

fn write(terminal: &Terminal, path: Option<&PathBuf>, bytes: &[u8]) -> Result {
    match path {
        Some(path) => Ok(atomic_write_path(path, bytes, 0o644)?),
        None => terminal.bytes(bytes),
    }
}

/// Reads a public key as `keys export` wrote it.
fn read_public(path: &PathBuf) -> Result<PublicKey> {
    let failed = || format!("failed to read the public key `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(failed)?;
    let value = serde_json::from_str(&text)
        .map_err(|error| Failure::of(Kind::Invalid, error).context(failed()))?;
    PublicKey::from_json(&value).with_context(failed)?.ok_or_else(|| {
        Failure::new(Kind::Unsupported, "this sort of key is not known").context(failed())
    })
}

/// Reads a public key in any of its forms: JSON, PEM, or an Ed25519 key in hex.
pub(crate) fn read_public_key(path: &PathBuf) -> Result<PublicKey> {
    let failed = || format!("failed to read the public key `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(failed)?;
    let text = text.trim();
    if text.starts_with('{') {
        return read_public(path);
    }
    let key_types =
        if text.starts_with("-----") { &["RSA", "ECPRIME256V1"][..] } else { &["ED25519"] };
    let read = |keytype: &&str| {
        let json = serde_json::json!({ "keytype": keytype, "keyval": { "public": text } });
        PublicKey::from_json(&json).ok().flatten()
    };
    key_types.iter().find_map(read).ok_or_else(|| {
        let message = "it is no key of Ed25519, P-256 or RSA";
        Failure::new(Kind::Invalid, message).context(failed())
    })
}

/// The public keys that the server signs with, for one role.
fn public_keys(keys: &[updraft_api::OnlineKey]) -> Result<Vec<PublicKey>> {
    keys.iter()
        .map(|key| {
            PublicKey::from_json(&key.key)?.ok_or_else(|| {
                Failure::new(
                    Kind::Unsupported,
                    format!("the online key {} is of a sort that is not known", key.keyid),
                )
            })
        })
        .collect()
}
