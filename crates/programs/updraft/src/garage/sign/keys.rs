//! Keys in files: made, read, and used on any JSON.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use updraft_crypto::{KeyAlgorithm, SigningKey, Verifier};
use updraft_error::Kind;
use updraft_publish::{
    PrivateKey, TokenKey, private_key_from_json, private_key_json, public_key_json,
};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Envelope, Key, KeyId, PublicKey, RoleKeys, check_threshold};

use super::{DIALECT, RepoName, check_name, read_json, read_public, write_json};

/// A folder of keys, each two files.
#[derive(Debug, Clone)]
pub(super) struct KeyFiles(PathBuf);

impl KeyFiles {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn public_path(&self, name: &str) -> Result<PathBuf> {
        let stem = name.strip_suffix(".pub").unwrap_or(name);
        check_name(stem)?;
        Ok(self.0.join(format!("{stem}.pub")))
    }

    fn private_path(&self, name: &str) -> Result<PathBuf> {
        let stem = name.strip_suffix(".sec").unwrap_or(name);
        check_name(stem)?;
        Ok(self.0.join(format!("{stem}.sec")))
    }

    /// A public key by its name, or by a path.
    pub(super) fn public(&self, name: &str) -> Result<PublicKey> {
        if name.contains('/') {
            return read_public(Path::new(name));
        }
        read_public(&self.public_path(name)?)
    }

    /// A private key by its name.
    pub(super) fn private(&self, name: &str) -> Result<PrivateKey> {
        let path = self.private_path(name)?;
        let json = read_json(&path)?;
        let key = if TokenKey::is_reference(&json) {
            TokenKey::from_json(&json).map(PrivateKey::Token)
        } else {
            private_key_from_json(&json).map(PrivateKey::File)
        };
        key.with_context(|| format!("failed to read the private key `{}`", path.display()))
    }

    /// Writes both halves of a key.
    pub(super) fn write(&self, name: &str, key: &SigningKey) -> Result {
        std::fs::create_dir_all(&self.0)?;
        write_json(&self.private_path(name)?, &private_key_json(key)?, 0o600)?;
        write_json(&self.public_path(name)?, &public_key_json(key.public()), 0o644)
    }

    /// Writes where a key in a token is, in place of a private key, and the public half.
    fn add_token(&self, name: &str, uri: &str, helper: &Path) -> Result<TokenKey> {
        let path = self.private_path(name)?;
        if path.exists() {
            let message = format!("there is a key `{}`", path.display());
            return Err(Failure::new(Kind::Conflict, message));
        }
        let key = TokenKey::find(uri, &crate::keys::token_helper(helper))?;
        std::fs::create_dir_all(&self.0)?;
        write_json(&path, &key.to_json(), 0o600)?;
        write_json(&self.public_path(name)?, &public_key_json(key.public()), 0o644)?;
        Ok(key)
    }

    fn write_public(&self, name: &str, key: &PublicKey) -> Result {
        std::fs::create_dir_all(&self.0)?;
        write_json(&self.public_path(name)?, &public_key_json(key), 0o644)
    }

    fn generate(&self, name: &str, kind: &KeyKind) -> Result<SigningKey> {
        let path = self.private_path(name)?;
        if path.exists() {
            let message = format!("there is a key `{}`", path.display());
            return Err(Failure::new(Kind::Conflict, message));
        }
        let key = SigningKey::generate(kind.algorithm()?)?;
        self.write(name, &key)?;
        Ok(key)
    }
}

/// What sort of key to make.
#[derive(Debug, Clone, Args)]
struct KeyKind {
    /// Ed25519, RSA or ECPRIME256V1.
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "ed25519")]
    kind: String,
    /// The length of an RSA key in bits: 2048, 3072 or 4096.
    #[arg(long, value_name = "BITS", default_value_t = 2048)]
    keysize: u16,
}

impl KeyKind {
    fn algorithm(&self) -> Result<KeyAlgorithm> {
        let name = self.kind.to_ascii_lowercase();
        let name = if name == "rsa" { format!("rsa-{}", self.keysize) } else { name };
        Ok(name.parse()?)
    }
}

/// Make keys of a repository.
#[derive(Debug, Args)]
pub(super) struct RepoKeys {
    #[command(flatten)]
    repo: RepoName,
    #[command(subcommand)]
    command: RepoKeysCommand,
}

#[derive(Debug, Subcommand)]
enum RepoKeysCommand {
    /// Make a key.
    Generate {
        /// Its name: the files are NAME.sec and NAME.pub.
        #[arg(long, short)]
        name: String,
        #[command(flatten)]
        kind: KeyKind,
    },
    /// Use a key in a token (PKCS#11).
    AddToken {
        /// Its name: the files are NAME.sec, which says where the key is, and NAME.pub.
        #[arg(long, short)]
        name: String,
        /// The key: `pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE` (RFC 7512).
        #[arg(long)]
        uri: String,
        /// The program that loads the token's module.
        #[arg(long, value_name = "PROGRAM", default_value = "updraftd-keys")]
        helper: PathBuf,
    },
}

impl RepoKeys {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        let keys = self.repo.open(home)?.keys();
        match &self.command {
            RepoKeysCommand::Generate { name, kind } => {
                let key = keys.generate(name, kind)?;
                terminal.say(format!("made key {name}: {}", key.key_id(DIALECT)));
            }
            RepoKeysCommand::AddToken { name, uri, helper } => {
                let key = keys.add_token(name, uri, helper)?;
                terminal.say(format!("key {name} is {}", key.public().key_id(DIALECT)));
            }
        }
        Ok(())
    }
}

/// Make and look at keys that belong to no repository.
#[derive(Debug, Args)]
pub(super) struct UserKeys {
    /// Where they are; without this, `user-keys` in the home folder.
    #[arg(long, short = 'p', global = true, value_name = "FOLDER")]
    keys_path: Option<PathBuf>,
    #[command(subcommand)]
    command: UserKeysCommand,
}

#[derive(Debug, Subcommand)]
enum UserKeysCommand {
    /// Make a key.
    Gen {
        /// Its name: the files are NAME.sec and NAME.pub.
        #[arg(long, short = 'k')]
        key_name: String,
        #[command(flatten)]
        kind: KeyKind,
    },
    /// Print the id of a public key.
    Id {
        /// The public key.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
    },
    /// Copy a public key into a repository.
    Importpub {
        #[command(flatten)]
        repo: RepoName,
        /// Its name there.
        #[arg(long, short = 'k')]
        key_name: String,
        /// The public key.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
    },
}

impl UserKeys {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        match &self.command {
            UserKeysCommand::Gen { key_name, kind } => {
                let key = user_keys(home, self.keys_path.as_deref()).generate(key_name, kind)?;
                terminal.say(format!("made key {key_name}: {}", key.key_id(DIALECT)));
                Ok(())
            }
            UserKeysCommand::Id { input } => terminal.line(read_public(input)?.key_id(DIALECT)),
            UserKeysCommand::Importpub { repo, key_name, input } => {
                repo.open(home)?.keys().write_public(key_name, &read_public(input)?)
            }
        }
    }
}

/// Keys that belong to no repository.
pub(super) fn user_keys(home: &Path, folder: Option<&Path>) -> KeyFiles {
    KeyFiles::new(folder.map_or_else(|| home.join("user-keys"), Path::to_owned))
}

/// Sign any JSON with a key.
#[derive(Debug, Args)]
pub(super) struct SignJson {
    /// The private key.
    #[arg(long, short = 'k', value_name = "FILE")]
    priv_key: PathBuf,
    /// Its public half.
    #[arg(long, short = 'p', value_name = "FILE")]
    pub_key: Option<PathBuf>,
    /// The JSON.
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
}

impl SignJson {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let key = private_key_from_json(&read_json(&self.priv_key)?)?;
        if let Some(path) = &self.pub_key
            && read_public(path)? != *key.public()
        {
            return Err(Failure::new(Kind::Invalid, "the two keys do not belong together"));
        }
        let envelope = Envelope::sign(DIALECT, read_json(&self.input)?, &[&key])
            .map_err(|error| Failure::of(Kind::Invalid, error))?;
        terminal.json(&envelope.to_value(DIALECT))
    }
}

/// Check the signatures of JSON with a key.
#[derive(Debug, Args)]
pub(super) struct VerifyJson {
    /// The public key.
    #[arg(long, short = 'p', value_name = "FILE")]
    pub_key: PathBuf,
    /// The signed JSON.
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
}

impl VerifyJson {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let key = read_public(&self.pub_key)?;
        let envelope = Envelope::from_value(DIALECT, read_json(&self.input)?)?;
        let ids: Vec<KeyId> =
            envelope.signatures.iter().map(|signature| signature.key_id.clone()).collect();
        if !ids.iter().any(|id| require_signature(&envelope, &key, id).is_ok()) {
            return Err(Failure::new(Kind::Rejected, "the key has not signed it"));
        }
        terminal.show(&json!({ "valid": true }), |_| terminal.line("the key has signed it"))
    }
}

/// Sees to it that the signature under this id is by this key.
pub(super) fn require_signature(envelope: &Envelope, key: &PublicKey, id: &KeyId) -> Result {
    let role = RoleKeys::new(vec![id.clone()], 1);
    let keys = [(id.clone(), Key::new(DIALECT, key.clone()))].into_iter().collect();
    check_threshold(DIALECT, &keys, &role, envelope, &Verifier)
        .map_err(|_| Failure::new(Kind::Rejected, "the key has not signed this"))
}
