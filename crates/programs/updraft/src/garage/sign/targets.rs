//! Targets: edited, signed, pulled and pushed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Digest as _;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Envelope, Signature};

use super::expiry::Expiry;
use super::repo::{Role, TufRepo, expiry_of, stamp, version_of};
use super::target::NewTarget;
use super::{DIALECT, RepoName, canonical, read_public};

/// Work on targets.
#[derive(Debug, Args)]
pub(super) struct Targets {
    #[command(flatten)]
    repo: RepoName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin with no targets at all.
    Init {
        /// The version.
        #[arg(long)]
        version: u64,
        /// Until when they are valid, such as 2030-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        expires: Timestamp,
    },
    /// Add a target.
    Add(TargetArguments),
    /// Add a target whose content was uploaded.
    AddUploaded {
        /// The content.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
        #[command(flatten)]
        about: About,
    },
    /// Remove a target.
    Delete {
        /// Its whole name: NAME-VERSION.
        #[arg(long, value_name = "NAME")]
        filename: String,
    },
    /// Print what will be signed, in canonical form.
    GetUnsigned,
    /// Sign the targets as edited.
    Sign(SignTargets),
    /// Fetch the targets of the server.
    Pull,
    /// Send the signed targets to the server.
    Push,
    /// Send content to the server, for `add-uploaded`.
    Upload {
        /// The content.
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
        /// The name.
        #[arg(long)]
        name: String,
        /// The version.
        #[arg(long)]
        version: String,
        /// Accepted for scripts: an upload takes as long as it goes on.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Let others sign for some targets.
    Delegations(Delegate),
    /// Raise the version.
    IncrementVersion,
}

/// Sign the targets as edited.
#[derive(Debug, Args)]
struct SignTargets {
    /// The key.
    #[arg(long, short = 'k', value_name = "NAME", required_unless_present = "signatures")]
    key_name: Vec<String>,
    /// Their version. Without this it is one more than that of the targets before.
    #[arg(long)]
    version: Option<u64>,
    /// Signatures that were made elsewhere, over exactly what `get-unsigned` prints:
    /// NAME=BASE64, where NAME is that of the public key.
    #[arg(long, value_name = "NAME=BASE64", value_delimiter = ',')]
    signatures: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
}

/// Let others sign for some targets.
#[derive(Debug, Args)]
struct Delegate {
    #[command(subcommand)]
    command: DelegateCommand,
}

#[derive(Debug, Subcommand)]
enum DelegateCommand {
    /// Add a delegation.
    Add {
        /// The name of the role.
        #[arg(long, short)]
        name: String,
        /// A pattern of the names that it may sign for.
        #[arg(long, short, value_name = "PATTERN", required = true)]
        prefix: Vec<String>,
        /// A public key of the role.
        #[arg(long, short, value_name = "FILE", required = true)]
        key: Vec<PathBuf>,
        /// How many of the keys must sign.
        #[arg(long, value_name = "N", default_value_t = 1)]
        threshold: u64,
    },
}

/// What a target is.
#[derive(Debug, Clone, Args)]
struct About {
    /// The name.
    #[arg(long)]
    name: String,
    /// The version.
    #[arg(long)]
    version: String,
    /// The hardware that it is for; commas separate.
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    hardwareids: Vec<String>,
    /// More about it: a JSON object that is signed with it.
    #[arg(long = "customMeta", alias = "custom-meta", value_name = "JSON")]
    custom: Option<String>,
}

/// Add a target.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArguments {
    #[command(flatten)]
    about: About,
    /// Its length in bytes; 0 for a commit.
    #[arg(long, value_name = "BYTES")]
    length: u64,
    /// `ostree` or `binary`.
    #[arg(long, default_value = "ostree", ignore_case = true, value_parser = ["ostree", "binary"])]
    format: String,
    /// Its SHA-256, or the commit.
    #[arg(long, value_name = "HEX")]
    sha256: String,
    /// Where it can be fetched, when not from the server.
    #[arg(long)]
    url: Option<String>,
}

impl TargetArguments {
    pub(super) fn target(&self) -> Result<NewTarget> {
        let target = NewTarget {
            format: self.format.to_ascii_uppercase(),
            url: self.url.clone().filter(|url| !url.is_empty()),
            ..self.about.target(self.sha256.to_ascii_lowercase(), self.length)?
        };
        let is_digest =
            target.sha256.len() == 64 && target.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(Failure::new(Kind::Invalid, "--sha256 is not 64 hexadecimal digits"));
        }
        Ok(target)
    }
}

impl About {
    fn target(&self, sha256: String, length: u64) -> Result<NewTarget> {
        let custom = match &self.custom {
            None => None,
            Some(text) => Some(serde_json::from_str(text).map_err(|error| {
                Failure::of(Kind::Invalid, error).context("--customMeta is no JSON object")
            })?),
        };
        Ok(NewTarget {
            name: self.name.clone(),
            version: self.version.clone(),
            sha256,
            length,
            format: "BINARY".to_owned(),
            hardware_ids: self.hardwareids.clone(),
            url: None,
            custom,
            uploaded: false,
        })
    }
}

impl Targets {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        let repo = self.repo.open(home)?;
        repo.require_targets()?;
        match &self.command {
            Command::Init { version, expires } => {
                repo.write_unsigned(Role::Targets, &empty(*version, *expires))
            }
            Command::Add(add) => repo.add_target(&add.target()?),
            Command::AddUploaded { input, about } => {
                let (sha256, length) = digest(input)
                    .with_context(|| format!("failed to read `{}`", input.display()))?;
                repo.add_target(&NewTarget { uploaded: true, ..about.target(sha256, length)? })
            }
            Command::Delete { filename } => repo.edit_targets(|payload| {
                let targets = payload["targets"].as_object_mut();
                match targets.and_then(|targets| targets.remove(filename)) {
                    Some(_) => Ok(()),
                    None => Err(Failure::new(Kind::NotFound, format!("no target {filename}"))),
                }
            }),
            Command::GetUnsigned => terminal.bytes(&canonical(&repo.unsigned(Role::Targets)?)?),
            Command::Sign(sign) => sign.run(&repo),
            Command::Pull => repo.pull_targets(),
            Command::Push => repo.push_targets(),
            Command::Upload { input, name, version, timeout: _ } => {
                let name = updraft_api::paths::encode(&format!("{name}-{version}"));
                repo.send_file(&format!("uploads/{name}"), input)
            }
            Command::Delegations(Delegate {
                command: DelegateCommand::Add { name, prefix, key, threshold },
            }) => repo.edit_targets(|payload| delegate(payload, name, prefix, key, *threshold)),
            Command::IncrementVersion => repo.edit_targets(|payload| {
                payload["version"] = json!(version_of(payload).saturating_add(1));
                Ok(())
            }),
        }
    }
}

impl SignTargets {
    fn run(&self, repo: &TufRepo) -> Result {
        if self.signatures.is_empty() {
            return repo.sign_targets(&self.key_name, self.version, Some(&self.expiry));
        }
        // What was signed elsewhere stays as it was then.
        let signed = repo.unsigned(Role::Targets)?;
        let mut envelope = Envelope { signatures: Vec::new(), signed };
        for entry in &self.signatures {
            add_external(repo, &mut envelope, entry)?;
        }
        if !self.key_name.is_empty() {
            envelope = repo.add_signatures(envelope, &repo.private_keys(&self.key_name)?)?;
        }
        repo.write_signed(Role::Targets, &envelope)
    }
}

impl TufRepo {
    pub(crate) fn add_target(&self, target: &NewTarget) -> Result {
        self.edit_targets(|payload| target.enter(payload, Timestamp::now()))
    }

    fn edit_targets(&self, edit: impl FnOnce(&mut Value) -> Result) -> Result {
        let mut payload = self.unsigned(Role::Targets)?;
        edit(&mut payload)?;
        self.write_unsigned(Role::Targets, &payload)
    }

    /// Signs the targets as edited.
    pub(crate) fn sign_targets(
        &self,
        keys: &[String],
        version: Option<u64>,
        expiry: Option<&Expiry>,
    ) -> Result {
        let mut payload = self.unsigned(Role::Targets)?;
        let signed = self.signed(Role::Targets)?.map(|envelope| version_of(&envelope.signed));
        let version = version.unwrap_or_else(|| next_version(version_of(&payload), signed));
        let before = expiry_of(&payload)?;
        let expires = match expiry {
            Some(expiry) => expiry.after(before, Timestamp::now())?,
            None => before,
        };
        stamp(&mut payload, version, expires);
        let envelope = self.sign(payload, &self.private_keys(keys)?)?;
        self.write_signed(Role::Targets, &envelope)
    }

    pub(super) fn private_keys(
        &self,
        names: &[String],
    ) -> Result<Vec<updraft_publish::PrivateKey>> {
        let keys = self.keys();
        names.iter().map(|name| keys.private(name)).collect()
    }
}

/// The version to sign: the edited one when it was raised, else one more than the signed one.
pub(super) fn next_version(edited: u64, signed: Option<u64>) -> u64 {
    edited.max(signed.map_or(0, |signed| signed.saturating_add(1)))
}

/// Adds a signature that was made elsewhere, if it is good.
pub(super) fn add_external(repo: &TufRepo, envelope: &mut Envelope, entry: &str) -> Result {
    let malformed = || {
        Failure::new(Kind::Invalid, format!("`{}` is no signature", entry.escape_default()))
            .hint("write NAME=BASE64")
    };
    let (name, text) = entry.split_once('=').ok_or_else(malformed)?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text)
        .map_err(|_| malformed())?;
    let key = repo.keys().public(name)?;
    let key_id = repo.key_id(&key)?;
    let method = Some(key.key_type().method().to_owned());
    envelope.signatures.push(Signature { key_id: key_id.clone(), method, bytes });
    super::keys::require_signature(envelope, &key, &key_id)
        .with_context(|| format!("the signature of {name} was refused"))
}

/// No targets at all.
pub(super) fn empty(version: u64, expires: Timestamp) -> Value {
    json!({
        "_type": "Targets", "expires": updraft_tuf::format_time(expires),
        "targets": {}, "version": version,
    })
}

fn delegate(
    payload: &mut Value,
    name: &str,
    patterns: &[String],
    keys: &[PathBuf],
    threshold: u64,
) -> Result {
    super::check_name(name)?;
    let root = payload
        .as_object_mut()
        .ok_or_else(|| Failure::new(Kind::Invalid, "the targets are no object"))?;
    let delegations = root.entry("delegations").or_insert_with(|| json!({}));
    if delegations.is_null() {
        *delegations = json!({});
    }
    let mut ids = Vec::new();
    for path in keys {
        let key = read_public(path)?;
        let id = key.key_id(DIALECT).to_string();
        delegations["keys"][&id] = key.to_json(DIALECT);
        ids.push(id);
    }
    let role = json!({
        "keyids": ids, "name": name, "paths": patterns,
        "terminating": false, "threshold": threshold,
    });
    match delegations["roles"].as_array_mut() {
        Some(roles) => {
            roles.retain(|other| other["name"] != name);
            roles.push(role);
        }
        None => delegations["roles"] = json!([role]),
    }
    Ok(())
}

/// The SHA-256 of a file in hex, and its length.
fn digest(path: &Path) -> Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        length += bytes.len() as u64;
    }
    let digest = updraft_ostree::Checksum::from_bytes(hasher.finalize().into());
    Ok((digest.to_string(), length))
}
