//! `ostree sign`, `ostree gpg-sign`: signing commits that are there.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_repo::Repo;
use updraft_repo::sign::{self, PublicKeys, SignType, Signer};
use updraft_terminal::{Failure, Result, Terminal};

use super::program::Usage;
use super::repository::Location;
use super::signing;

/// Sign a commit, or verify its signatures.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Take the signatures of these public keys away.
    #[arg(long, short = 'd')]
    delete: bool,
    /// Verify with these public keys, or those of the system.
    #[arg(long, conflicts_with = "delete")]
    verify: bool,
    /// The type of keys and signatures: ed25519 (the default), spki or dummy.
    #[arg(long, short = 's', value_name = "TYPE")]
    sign_type: Option<String>,
    /// Read keys from this file.
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// Take this folder for that of the system's trusted and revoked keys.
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<PathBuf>,
    /// The commit.
    commit: Option<String>,
    /// Secret keys to sign with, public keys to verify with.
    #[arg(value_name = "KEY-ID")]
    keys: Vec<String>,
}

impl Sign {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let Some(commit) = &self.commit else {
            return Err(Usage::failure("Need a COMMIT to sign or verify"));
        };
        if !self.verify && self.keys.is_empty() && self.keys_file.is_none() {
            return Err(Usage::failure("Need at least one KEY-ID to sign with"));
        }
        let commit = repo.resolve(commit)?;
        let kind = match signing::kind(self.sign_type.as_deref()) {
            // Nothing is verified by a type that may not be used.
            Err(_) if self.verify && self.sign_type.as_deref() == Some("dummy") => {
                return Err(Failure::new(Kind::Rejected, "No valid signatures found"));
            }
            kind => kind?,
        };
        if self.verify {
            return self.verify(&repo, &commit, kind, terminal);
        }
        if self.delete {
            let mut keys = PublicKeys::new(kind);
            self.keys.iter().try_for_each(|key| keys.add(key))?;
            if let Some(file) = &self.keys_file {
                keys.add_file(file)?;
            }
            let deleted = sign::delete_signatures(&terminal.context, &repo, &commit, &keys)?;
            return terminal.line(format!("Signatures deleted: {deleted}"));
        }
        let places = signing::places();
        let signers = signing::key_signers(kind, &self.keys, self.keys_file.as_deref())?;
        signers.iter().try_for_each(|signer| {
            Ok(sign::sign_commit(&terminal.context, &repo, &places, &commit, signer)?)
        })
    }

    fn verify(
        &self,
        repo: &Repo,
        commit: &Checksum,
        kind: SignType,
        terminal: &Terminal,
    ) -> Result {
        let data = repo.read_metadata(&ObjectName::new(*commit, ObjectType::Commit))?;
        let metadata = repo.read_commit_meta(commit)?;
        let verify = |keys: &PublicKeys| {
            let metadata = metadata.as_ref().ok_or(sign::Error::NoDetachedMetadata)?;
            sign::verify_signatures(keys, &data, metadata)
        };
        for key in &self.keys {
            let mut keys = PublicKeys::new(kind);
            keys.add(key)?;
            if let Ok(success) = verify(&keys) {
                return terminal.line(success.0);
            }
        }
        let mut keys = PublicKeys::new(kind);
        if let Some(file) = &self.keys_file {
            keys.add_file(file)?;
        } else if self.keys.is_empty() {
            let places = signing::places();
            let places = match &self.keys_dir {
                Some(dir) => places.with_key_dir(dir),
                None => places,
            };
            keys.add_system(&places).map_err(signing::failure)?;
        }
        if !keys.is_empty() {
            return terminal.line(verify(&keys).map_err(signing::failure)?.0);
        }
        Err(Failure::new(Kind::Rejected, "No valid signatures found"))
    }
}

/// Sign a commit with OpenPGP keys.
#[derive(Debug, Args)]
pub(crate) struct GpgSign {
    /// Take the signatures of these keys away.
    #[arg(long, short = 'd')]
    delete: bool,
    /// The GnuPG home of the keys.
    #[arg(long, value_name = "HOMEDIR")]
    gpg_homedir: Option<PathBuf>,
    /// The commit.
    commit: Option<String>,
    /// Fingerprints or key ids.
    #[arg(value_name = "KEY-ID")]
    keys: Vec<String>,
}

impl GpgSign {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let Some(commit) = &self.commit else {
            return Err(Usage::failure("Need a COMMIT to sign"));
        };
        if self.keys.is_empty() {
            return Err(Usage::failure("Need at least one GPG KEY-ID to sign with"));
        }
        let commit = repo.resolve(commit)?;
        let (ctx, places) = (&terminal.context, signing::places());
        let home = self.gpg_homedir.as_deref();
        if let Some(home) = home {
            // A home that is not there has no keys to look for.
            updraft_fs::Dir::open(home)?;
        }
        if self.delete {
            let keyring = sign::viewing_keyring(&repo, &places, None, home)?;
            let deleted = sign::delete_gpg(ctx, &repo, &commit, &keyring, &self.keys)?;
            return terminal.line(format!("Signatures deleted: {deleted}"));
        }
        self.keys.iter().try_for_each(|key| {
            let signer = Signer::Gpg { home: self.gpg_homedir.clone(), key_id: key.clone() };
            Ok(sign::sign_commit(ctx, &repo, &places, &commit, &signer)?)
        })
    }
}
