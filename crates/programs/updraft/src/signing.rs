//! The operator's half of the Image repository: a folder of keys, the root it trusts, and what
//! the server holds.
//!
//! ```text
//! KEYS/              mode 0700
//!   KEYID.pem        private keys, mode 0600
//!   root.json        the newest root that was seen and verified; later ones must follow from it
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use updraft_api::{MetadataAccepted, paths};
use updraft_crypto::SigningKey;
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write, atomic_write_path};
use updraft_publish::{Draft, ImageRepository, KeyStore};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Dialect, RoleName, Sign};

use crate::server::Server;

/// The wire form of everything that devices of the Uptane world read.
pub(crate) const DIALECT: Dialect = Dialect::Uptane;

const TRUSTED_ROOT: &str = "root.json";
/// Largest sign request or root that is read, in bytes.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Where the keys are.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeysOption {
    /// The folder of private keys.
    #[arg(long, env = "UPDRAFT_KEYS", value_name = "FOLDER", default_value = "keys")]
    keys: PathBuf,
}

impl KeysOption {
    /// Opens the folder, and makes it when it is not there.
    pub(crate) fn open(&self) -> Result<KeyFolder> {
        let store = KeyStore::open(&self.keys, DIALECT)?;
        Ok(KeyFolder { store, folder: Dir::open(&self.keys)? })
    }
}

/// A folder of keys with the root it trusts.
pub(crate) struct KeyFolder {
    pub(crate) store: KeyStore,
    folder: Dir,
}

impl KeyFolder {
    /// The newest root that was seen and verified.
    pub(crate) fn trusted_root(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.folder.try_read(TRUSTED_ROOT, FILE_LIMIT)?)
    }

    /// From now on later roots must follow from this one.
    pub(crate) fn trust(&self, root: &[u8]) -> Result {
        // Commit point: the new root is the one that later ones are held against.
        Ok(atomic_write(&self.folder, TRUSTED_ROOT, root, 0o644)?)
    }

    /// Signs with every key of this folder that may sign; none is no error.
    pub(crate) fn sign(&self, draft: &mut Draft) -> Result<usize> {
        let keys = self.store.load_all()?;
        sign_with(draft, &keys)
    }

    /// The server's Image repository, verified from the root that this folder trusts.
    pub(crate) fn repository(&self, server: &Server) -> Result<ImageRepository> {
        let current = server.get_bytes(paths::IMAGE_ROOT)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, "the server's Image repository has no root yet")
                .hint("begin it with `updraft keys init`")
        })?;
        let targets = server.get_bytes(paths::IMAGE_TARGETS)?;
        let trusted = self.trusted_root()?;
        let first = trusted.as_deref().unwrap_or(&current);
        // Expiry is not looked at: an operator must be able to renew what has expired.
        let always = Timestamp::MIN;
        let mut repository = ImageRepository::new(DIALECT, first, always)?;
        // Targets may still be signed by the keys that the newest root has just taken away.
        let before = targets.as_ref().map(|bytes| repository.accept_targets(bytes, always));
        if first != current {
            repository.accept_root(&current, always).map_err(|error| self.distrust(error))?;
        }
        if let (Some(bytes), Some(Err(_))) = (&targets, before) {
            repository.accept_targets(bytes, always)?;
        }
        Ok(repository)
    }

    fn distrust(&self, error: updraft_publish::Error) -> Failure {
        let path = self.folder.path().join(TRUSTED_ROOT);
        Failure::from(error)
            .context("the server's root does not follow from the root that this folder trusts")
            .hint(format!("if the server is right, replace `{}` by its root", path.display()))
    }
}

/// Signs with those keys that may sign; none is no error.
pub(crate) fn sign_with(draft: &mut Draft, keys: &[SigningKey]) -> Result<usize> {
    let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
    match draft.sign(&keys) {
        Ok(count) => Ok(count),
        Err(updraft_publish::Error::NoUsableKey { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The finished file, or a sign request in `request` when that is given.
///
/// Without enough signatures and without `request` it is an error that says what is missing.
pub(crate) fn finish(
    draft: &Draft,
    request: Option<&Path>,
    terminal: &Terminal,
) -> Result<Option<Vec<u8>>> {
    let Some(path) = request else {
        return draft.finish().map(Some).map_err(|error| {
            Failure::from(error)
                .hint("sign elsewhere: run the same command with `--sign-request FILE`")
        });
    };
    write_request(draft, path)?;
    terminal.say(format!("wrote the sign request {}", path.display()));
    terminal.say("sign it where the keys are: `updraft keys sign FILE`");
    terminal.say("then bring it back: `updraft release import FILE`");
    Ok(None)
}

/// Writes a draft as a sign request.
pub(crate) fn write_request(draft: &Draft, path: &Path) -> Result {
    Ok(atomic_write_path(path, &draft.to_request(), 0o644)?)
}

/// Reads a sign request.
pub(crate) fn read_request(path: &Path) -> Result<Draft> {
    let failed = || format!("failed to read the sign request `{}`", path.display());
    let size = std::fs::metadata(path).with_context(failed)?.len();
    if size > FILE_LIMIT {
        return Err(Failure::new(Kind::Exhausted, "it is larger than 16 MiB").context(failed()));
    }
    let bytes = std::fs::read(path).with_context(failed)?;
    Draft::from_request(&bytes).with_context(failed)
}

/// Sends a finished file to where its role belongs.
pub(crate) fn publish(server: &Server, role: &RoleName, bytes: Vec<u8>) -> Result {
    let path = match role {
        RoleName::Root => paths::IMAGE_ROOT.to_owned(),
        RoleName::Targets => paths::IMAGE_TARGETS.to_owned(),
        RoleName::Delegated(name) => paths::image_delegation(name),
        RoleName::Snapshot | RoleName::Timestamp => {
            return Err(Failure::new(Kind::Unsupported, format!("the server signs {role} itself")));
        }
    };
    let _: MetadataAccepted =
        server.put_bytes(&path, bytes).with_context(|| format!("failed to publish {role}"))?;
    Ok(())
}

/// So many days from now.
pub(crate) fn in_days(days: u16) -> Result<Timestamp> {
    let span = SignedDuration::from_hours(i64::from(days) * 24);
    Timestamp::now()
        .checked_add(span)
        .map_err(|error| Failure::of(Kind::Invalid, error).context("failed to set the expiry"))
}
