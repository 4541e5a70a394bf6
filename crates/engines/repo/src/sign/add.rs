//! Adding signatures to commits and summaries, and taking them away.

use std::path::PathBuf;
use std::sync::Arc;

use updraft_openpgp::{Keyring, sign as openpgp};
use updraft_ostree::gvariant::{Type, Value};
use updraft_ostree::{Checksum, Metadata, ObjectName, ObjectType};
use updraft_task::Context;

use super::check::signatures;
use super::gpg::{GPG_SIGNATURES, gpg_reports, viewing_keyring};
use super::{Error, Places, PublicKeys, SecretKey};
use crate::Repo;
use crate::staging::Durable;

const SUMMARY: &str = "summary";
const SUMMARY_SIGNATURES: &str = "summary.sig";
const MAX_SUMMARY: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;

/// Somebody who signs.
#[derive(Debug, Clone)]
pub enum Signer {
    /// A secret key of a GnuPG home (the user's own by default).
    Gpg {
        /// The home.
        home: Option<PathBuf>,
        /// A fingerprint or key id.
        key_id: String,
    },
    /// A key of another type.
    Key(Arc<SecretKey>),
}

impl Signer {
    fn metadata_key(&self) -> &'static str {
        match self {
            Self::Gpg { .. } => GPG_SIGNATURES,
            Self::Key(key) => key.kind().metadata_key(),
        }
    }

    fn sign(&self, ctx: &Context, data: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Gpg { home, key_id } => {
                Ok(openpgp::detached(ctx, home.as_deref(), key_id, data)?)
            }
            Self::Key(key) => key.sign(data),
        }
    }

    /// Adds a signature of `data`.
    pub(crate) fn add(
        &self,
        ctx: &Context,
        data: &[u8],
        metadata: &mut Metadata,
    ) -> Result<(), Error> {
        let signature = self.sign(ctx, data)?;
        let key = self.metadata_key();
        let mut all: Vec<Vec<u8>> =
            signatures(metadata, key).unwrap_or_default().into_iter().map(<[u8]>::to_vec).collect();
        all.push(signature);
        metadata.insert(key, byte_arrays(all));
        Ok(())
    }
}

fn byte_arrays(items: Vec<Vec<u8>>) -> Value {
    Value::Array(Type::bytes(), items.into_iter().map(Value::Bytes).collect())
}

/// Signs a commit. An OpenPGP key signs it only once.
pub fn sign_commit(
    ctx: &Context,
    repo: &Repo,
    places: &Places,
    commit: &Checksum,
    signer: &Signer,
) -> Result<(), Error> {
    let data = repo.read_metadata(&ObjectName::new(*commit, ObjectType::Commit))?;
    let mut metadata = repo.read_commit_meta(commit)?.unwrap_or_default();
    if let Signer::Gpg { home, key_id } = signer
        && metadata.get(GPG_SIGNATURES).is_some()
    {
        let keyring = viewing_keyring(repo, places, None, home.as_deref())?;
        let reports = gpg_reports(&keyring, &data, &metadata, places.now).ok().flatten();
        let known = |report: &updraft_openpgp::Report| report.primary.is_some();
        if reports.iter().flatten().any(|report| known(report) && report.is_by(key_id)) {
            return Err(Error::AlreadySigned(key_id.clone()));
        }
    }
    signer.add(ctx, &data, &mut metadata)?;
    // Commit point: the rename inside.
    Ok(repo.write_commit_meta(ctx, commit, &metadata)?)
}

/// Signs the summary as it is.
pub fn sign_summary(ctx: &Context, repo: &Repo, signers: &[Signer]) -> Result<(), Error> {
    if signers.is_empty() {
        return Ok(());
    }
    let data = repo.root().read(SUMMARY, MAX_SUMMARY)?;
    let mut metadata = match repo.root().try_read(SUMMARY_SIGNATURES, MAX_SUMMARY)? {
        Some(bytes) => Metadata::decode(&bytes).map_err(crate::Error::from)?,
        None => Metadata::new(),
    };
    for signer in signers {
        signer.add(ctx, &data, &mut metadata)?;
    }
    // Commit point: the rename inside.
    repo.replace(SUMMARY_SIGNATURES, &metadata.encode(), (0o644, Durable::Yes))?;
    // Caches that go by time then take both files or none, as libostree has it.
    Ok(repo.root().copy_mtime(SUMMARY, SUMMARY_SIGNATURES).map_err(crate::Error::from)?)
}

/// Signatures of `data`, such as the superblock of a delta, by all signers.
pub fn sign_bytes(ctx: &Context, signers: &[Signer], data: &[u8]) -> Result<Metadata, Error> {
    let mut metadata = Metadata::new();
    signers.iter().try_for_each(|signer| signer.add(ctx, data, &mut metadata))?;
    Ok(metadata)
}

/// Takes the OpenPGP signatures of these keys away from a commit; gives their number.
pub fn delete_gpg(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    keyring: &Keyring,
    keys: &[String],
) -> Result<usize, Error> {
    delete(ctx, repo, commit, GPG_SIGNATURES, |signature| {
        // Only who made it matters, so that the data and the time do not.
        let reports = updraft_openpgp::verify(keyring, b"", signature, 0).unwrap_or_default();
        reports.iter().any(|report| keys.iter().any(|key| report.is_by(key)))
    })
}

/// Takes the good signatures of these keys away from a commit; gives their number.
pub fn delete_signatures(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    keys: &PublicKeys,
) -> Result<usize, Error> {
    let data = repo.read_metadata(&ObjectName::new(*commit, ObjectType::Commit))?;
    delete(ctx, repo, commit, keys.kind.metadata_key(), |signature| {
        keys.usable().any(|key| key.verify(&data, signature))
    })
}

fn delete(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    key: &str,
    unwanted: impl Fn(&[u8]) -> bool,
) -> Result<usize, Error> {
    let Some(mut metadata) = repo.read_commit_meta(commit)? else { return Ok(0) };
    let found = signatures(&metadata, key).unwrap_or_default();
    let kept: Vec<Vec<u8>> =
        found.iter().filter(|one| !unwanted(one)).map(|one| one.to_vec()).collect();
    let deleted = found.len() - kept.len();
    if deleted == 0 {
        return Ok(0);
    }
    if kept.is_empty() {
        metadata.remove(key);
    } else {
        metadata.insert(key, byte_arrays(kept));
    }
    // Commit point: the rename inside.
    repo.write_commit_meta(ctx, commit, &metadata)?;
    Ok(deleted)
}
