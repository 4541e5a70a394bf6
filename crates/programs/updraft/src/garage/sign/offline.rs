//! Keys taken from the server, and credentials for others.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use updraft_error::Kind;
use updraft_http::Method;
use updraft_publish::{private_key_from_json, private_key_json, public_key_json};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::expiry::Expiry;
use super::repo::{Role, Trust};
use super::root::{add_key, remove_key};
use super::{DIALECT, RepoName};
use crate::garage::credentials::read_file;

/// Take the keys of a repository away from the server.
#[derive(Debug, Args)]
pub(super) struct MoveOffline {
    #[command(flatten)]
    repo: RepoName,
    /// The key that is to sign roots; without it the root is left to be signed and pushed.
    #[arg(long, value_name = "NAME")]
    new_root: Option<String>,
    /// The key that is to sign targets.
    #[arg(long, value_name = "NAME")]
    new_targets: Option<String>,
    /// The name that the server's key gets here.
    #[arg(long, value_name = "NAME")]
    old_root_alias: String,
    /// The id of the server's key; without this, the last that signs roots.
    #[arg(long, value_name = "ID")]
    old_keyid: Option<String>,
}

impl MoveOffline {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        let repo = self.repo.open(home)?;
        let keys = repo.keys();
        repo.pull_root(Trust::Chain)?;
        let mut root = repo.unsigned(Role::Root)?;
        let old = match &self.old_keyid {
            Some(id) => id.clone(),
            None => last_root_key(&root)?,
        };
        super::check_name(&old)?;
        let path = format!("root/private_keys/{old}");
        let pair: Value = serde_json::from_slice(&repo.fetch(&path)?.bytes)
            .map_err(|error| Failure::of(Kind::Invalid, error))?;
        keys.write(&self.old_root_alias, &private_key_from_json(&pair)?)?;
        if let Some(name) = &self.new_targets {
            repo.require_targets()?;
            let ids: Vec<String> =
                serde_json::from_value(root["roles"]["targets"]["keyids"].clone())
                    .map_err(|error| Failure::of(Kind::Invalid, error))?;
            add_key(&mut root, "targets", &keys.public(name)?)?;
            let new = repo.key_id(&keys.public(name)?)?.to_string();
            ids.iter()
                .filter(|id| **id != new)
                .try_for_each(|id| remove_key(&mut root, "targets", id))?;
        }
        let Some(new_root) = &self.new_root else {
            repo.write_unsigned(Role::Root, &root)?;
            terminal.say("edit, sign and push the root now: garage-sign root");
            return Ok(());
        };
        add_key(&mut root, "root", &keys.public(new_root)?)?;
        remove_key(&mut root, "root", &old)?;
        repo.write_unsigned(Role::Root, &root)?;
        let names = [new_root.clone(), self.old_root_alias.clone()];
        repo.sign_root(&names, &[], &Expiry::default())?;
        repo.push_root()?;
        repo.send(Method::Delete, &path, b"").context("the server kept its key")?;
        if let Some(name) = &self.new_targets {
            sign_anew(&repo, name)?;
        }
        terminal.say(format!("the server no longer has the key {old}"));
        Ok(())
    }
}

/// Signs the targets anew: those of the server are by a key that no longer counts.
fn sign_anew(repo: &super::TufRepo, name: &str) -> Result {
    let fetched = repo.fetch("targets.json")?;
    let envelope = updraft_tuf::Envelope::parse(DIALECT, &fetched.bytes, fetched.bytes.len())?;
    repo.write_signed(Role::Targets, &envelope)?;
    repo.write_checksum(&updraft_tuf::sha256_hex(&fetched.bytes))?;
    repo.sign_targets(&[name.to_owned()], None, None)?;
    repo.push_targets()
}

fn last_root_key(root: &Value) -> Result<String> {
    let ids = root["roles"]["root"]["keyids"].as_array();
    let id = ids.and_then(|ids| ids.last()).and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| Failure::new(Kind::Invalid, "nobody signs the root"))
}

/// Write credentials with a key of the repository as its targets key.
#[derive(Debug, Args)]
pub(super) struct ExportCredentials {
    #[command(flatten)]
    repo: RepoName,
    /// The key.
    #[arg(long, short = 'k', value_name = "NAME")]
    key_name: String,
    /// Where to write them.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl ExportCredentials {
    pub(super) fn run(&self, home: &Path, terminal: &Terminal) -> Result {
        let repo = self.repo.open(home)?;
        let key = repo.keys().private(&self.key_name)?;
        let key = key.in_file().ok_or_else(|| {
            Failure::new(Kind::Unsupported, "the key is in a token, which gives it to nobody")
        })?;
        let mut bundle = repo.credentials()?;
        bundle.set_member("targets.sec", private_key_json(key)?.to_string().into_bytes());
        bundle.set_member("targets.pub", public_key_json(key.public()).to_string().into_bytes());
        if let Some(root) = repo.signed(Role::Root)? {
            bundle.set_member("root.json", root.to_bytes(DIALECT)?);
        }
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o600);
        let failed = |error: zip::result::ZipError| Failure::of(Kind::Invalid, error);
        for (name, bytes) in bundle.members() {
            archive.start_file(name, options).map_err(failed)?;
            archive.write_all(bytes)?;
        }
        let bytes = archive.finish().map_err(failed)?.into_inner();
        updraft_fs::atomic_write_path(&self.output, &bytes, 0o600)?;
        terminal.say(format!("wrote {}", self.output.display()));
        Ok(())
    }
}

/// Show a client certificate to the server from now on.
#[derive(Debug, Args)]
pub(super) struct ImportClientCert {
    #[command(flatten)]
    repo: RepoName,
    /// The certificate with its key, in PKCS#12 without a password.
    #[arg(long, short, value_name = "FILE")]
    client_cert: PathBuf,
    /// The certificates of the authorities to trust, in PKCS#12 without a password or in PEM.
    #[arg(long, short, value_name = "FILE")]
    server_cert: Option<PathBuf>,
}

impl ImportClientCert {
    pub(super) fn run(&self, home: &Path, _: &Terminal) -> Result {
        let repo = self.repo.open(home)?;
        let failed = |path: &Path| format!("failed to read `{}`", path.display());
        let bundle = read_file(&self.client_cert).with_context(|| failed(&self.client_cert))?;
        updraft_crypto::pkcs12::decode(&bundle, "").with_context(|| failed(&self.client_cert))?;
        if let Some(path) = &self.server_cert {
            let bytes = read_file(path).with_context(|| failed(path))?;
            let is_pem = bytes.starts_with(b"-----BEGIN");
            let pem = if is_pem {
                bytes
            } else {
                let contents =
                    updraft_crypto::pkcs12::decode(&bytes, "").with_context(|| failed(path))?;
                contents.ca_pem.unwrap_or_default().into_bytes()
            };
            updraft_fs::atomic_write_path(repo.folder().join("server_ca.pem"), &pem, 0o644)?;
        }
        let path = repo.folder().join("client_auth.p12");
        Ok(updraft_fs::atomic_write_path(path, &bundle, 0o600)?)
    }
}
