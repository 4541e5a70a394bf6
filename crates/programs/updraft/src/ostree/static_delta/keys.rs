//! Whose signatures of a delta are accepted.

use std::path::PathBuf;

use clap::Args;
use updraft_ostree::delta::SignedDelta;
use updraft_repo::sign::{self, PublicKeys, Success};
use updraft_terminal::Result;

use crate::ostree::signing;

/// Options of commands that verify deltas.
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The type of signature: ed25519 (the default), spki or dummy.
    #[arg(long, value_name = "NAME")]
    sign_type: Option<String>,
    /// A file with public keys.
    #[arg(long, value_name = "NAME")]
    keys_file: Option<PathBuf>,
    /// A folder with files of trusted and revoked keys.
    #[arg(long, value_name = "NAME")]
    keys_dir: Option<PathBuf>,
    /// Public keys.
    #[arg(value_name = "KEY-ID")]
    keys: Vec<String>,
}

impl Keys {
    /// Whether the command line asks for verification.
    pub(super) fn are_given(&self) -> bool {
        !self.keys.is_empty()
            || self.keys_file.is_some()
            || self.keys_dir.is_some()
            || self.sign_type.is_some()
    }

    /// Whether there are signatures of the type that is asked for.
    pub(super) fn is_known_type(&self) -> bool {
        signing::kind(self.sign_type.as_deref()).is_ok()
    }

    /// The keys; those of the system when none are named.
    pub(super) fn load(&self) -> Result<PublicKeys> {
        let mut keys = PublicKeys::new(signing::kind(self.sign_type.as_deref())?);
        self.keys.iter().try_for_each(|key| keys.add(key)).map_err(signing::failure)?;
        if let Some(file) = &self.keys_file {
            keys.add_file(file).map_err(signing::failure)?;
        }
        let places = match &self.keys_dir {
            Some(dir) => Some(signing::places().with_key_dir(dir)),
            None => keys.is_empty().then(signing::places),
        };
        if let Some(places) = places {
            keys.add_system(&places).map_err(signing::failure)?;
        }
        Ok(keys)
    }
}

/// Holds the signatures of a delta against the keys. `None` is an unsigned delta, which nobody
/// who has keys accepts.
pub(super) fn verify(
    keys: &PublicKeys,
    signed: Option<&SignedDelta>,
) -> Result<Success, sign::Error> {
    let signed = signed.ok_or(sign::Error::UnsignedDelta)?;
    sign::verify_signatures(keys, &signed.superblock, &signed.signatures)
}
