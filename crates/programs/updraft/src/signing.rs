//! The operator's half of the Image repository: a folder of keys, the root it trusts, and what
//! the server holds.
//!
//! ```text
//! KEYS/              mode 0700
//!   KEYID.pem        private keys, mode 0600
//!   root.json        the newest root that was seen and verified; later ones must follow from it
//!   targets.json     the top-level targets that were seen last: they say who speaks for what
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use updraft_api::paths;
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write, atomic_write_path};
use updraft_publish::{Draft, ImageRepository, KeyStore, MAX_SIGN_REQUEST, PrivateKey};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Dialect, Sign};

use crate::server::Server;

mod publish;

pub(crate) use publish::{TufRepository, in_its_forms, publish, publish_together};

/// The wire form of everything that devices of the Uptane world read.
pub(crate) const DIALECT: Dialect = Dialect::Uptane;

const TRUSTED_ROOT: &str = "root.json";
const KNOWN_TARGETS: &str = "targets.json";
/// Largest root that is read, in bytes.
const ROOT_LIMIT: u64 = 64 * 1024;
/// Largest targets that are read, in bytes.
const TARGETS_LIMIT: u64 = 8 * 1024 * 1024;
/// Most versions of the root that are followed.
const ROOT_VERSIONS: u64 = 1024;

/// Where the keys are.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeysOption {
    /// The folder of private keys.
    #[arg(
        long,
        global = true,
        env = "UPDRAFT_KEYS",
        value_name = "FOLDER",
        default_value = "keys"
    )]
    keys: PathBuf,
}

impl KeysOption {
    /// Opens the folder, which has to be there: a mistyped name must not look like a folder
    /// without keys.
    pub(crate) fn open(&self) -> Result<KeyFolder> {
        if !self.keys.is_dir() {
            return Err(Failure::new(
                Kind::NotFound,
                format!("there is no folder of keys `{}`", self.keys.display()),
            )
            .hint("give it with --keys or UPDRAFT_KEYS; `updraft keys init` begins a repository")
            .hint("`updraft keys generate` makes a single key"));
        }
        self.make()
    }

    /// Opens the folder, and makes it when it is not there.
    pub(crate) fn make(&self) -> Result<KeyFolder> {
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
        Ok(self.folder.try_read(TRUSTED_ROOT, ROOT_LIMIT)?)
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

    /// The server's Image repository. All roots are followed from the first one, and the root that
    /// this folder trusts must be among them; from then on the folder trusts the newest. A folder
    /// that trusts none yet trusts the first server that it is used with.
    pub(crate) fn repository(&self, server: &Server) -> Result<ImageRepository> {
        // Expiry is not looked at: an operator must be able to renew what has expired.
        let always = Timestamp::MIN;
        let trusted = self.trusted_root()?;
        let targets = server.get_bytes(paths::IMAGE_TARGETS)?;
        let first = server.get_bytes(&paths::image_root_version(1))?.ok_or_else(|| {
            Failure::new(Kind::NotFound, "the server's Image repository has no root yet")
                .hint("begin it with `updraft keys init`")
        })?;
        let mut repository = ImageRepository::new(DIALECT, &first, always)?;
        let mut newest = first;
        let mut is_trusted = trusted.is_none();
        let mut refused = None;
        for version in 2..=ROOT_VERSIONS {
            is_trusted |= trusted.as_ref() == Some(&newest);
            if let Some(targets) = &targets {
                // Targets may still be signed by keys that a newer root has taken away: they stay
                // what the next ones are made from.
                refused = repository.accept_targets(targets, always).err();
            }
            let Some(next) = server.get_bytes(&paths::image_root_version(version))? else { break };
            repository.accept_root(&next, always).map_err(|error| self.distrust(Some(error)))?;
            newest = next;
        }
        if !is_trusted {
            return Err(self.distrust(None));
        }
        if let (Some(error), None) = (refused, repository.targets()) {
            return Err(error.into());
        }
        if trusted.as_ref() != Some(&newest) {
            self.trust(&newest)?;
        }
        if let Some(targets) = repository.targets() {
            self.remember_targets(&targets.bytes)?;
        }
        Ok(repository)
    }

    /// The same with the targets of all delegated roles. Whether their signatures still count is
    /// for devices to say; here they are what the next ones are made from.
    pub(crate) fn repository_with_delegations(&self, server: &Server) -> Result<ImageRepository> {
        let mut repository = self.repository(server)?;
        let roles = repository.delegations().map(|all| all.roles.clone()).unwrap_or_default();
        for role in roles {
            if let Some(bytes) = server.get_bytes(&paths::image_delegation(&role.name))? {
                repository.accept_delegated(&role.name, &bytes, Timestamp::MIN)?;
            }
        }
        Ok(repository)
    }

    /// Keeps the top-level targets, so that it can be told without the server who speaks for what.
    pub(crate) fn remember_targets(&self, targets: &[u8]) -> Result {
        Ok(atomic_write(&self.folder, KNOWN_TARGETS, targets, 0o644)?)
    }

    /// What was seen of the repository last: the trusted root, and the top-level targets if keys
    /// that it names signed them.
    pub(crate) fn known(&self) -> Result<Option<ImageRepository>> {
        let Some(root) = self.trusted_root()? else { return Ok(None) };
        let mut repository = ImageRepository::new(DIALECT, &root, Timestamp::MIN)
            .context("failed to read the trusted root of this folder")?;
        if let Some(targets) = self.folder.try_read(KNOWN_TARGETS, TARGETS_LIMIT)? {
            // Others do not count, and then nothing is known of delegations.
            let _ = repository.accept_targets(&targets, Timestamp::MIN);
        }
        Ok(Some(repository))
    }

    fn distrust(&self, error: Option<updraft_publish::Error>) -> Failure {
        let path = self.folder.path().join(TRUSTED_ROOT);
        let problem = "the server's roots do not follow from the root that this folder trusts";
        let failure = match error {
            Some(error) => Failure::from(error).context(problem),
            None => Failure::new(Kind::Rejected, problem),
        };
        failure
            .hint("this folder belongs to another repository, or the server lost or forged roots")
            .hint(format!("only if the server is right: remove `{}`", path.display()))
    }
}

/// Signs with those keys that may sign; none is no error.
pub(crate) fn sign_with(draft: &mut Draft, keys: &[PrivateKey]) -> Result<usize> {
    let signers: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
    match draft.sign(&signers) {
        Ok(count) => Ok(count),
        Err(updraft_publish::Error::NoUsableKey { .. }) => Ok(0),
        // A token says more about it than the failed signature.
        Err(error) => Err(match keys.iter().find_map(PrivateKey::take_trouble) {
            Some(trouble) => Failure::from(trouble)
                .context("failed to sign with a key in a token")
                .hint("a wrong PIN is not tried twice; see where `updraft keys add-token` pointed"),
            None => error.into(),
        }),
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
    if size > MAX_SIGN_REQUEST as u64 {
        return Err(Failure::new(Kind::Exhausted, "it is larger than 64 MiB").context(failed()));
    }
    let bytes = std::fs::read(path).with_context(failed)?;
    Draft::from_request(&bytes).with_context(failed)
}

/// A file that the server took, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Published {
    pub(crate) role: String,
    pub(crate) version: u64,
}

impl Published {
    pub(crate) fn text(&self) -> String {
        format!("published {} version {}", self.role, self.version)
    }

    pub(crate) fn show(&self, terminal: &Terminal) -> Result {
        terminal.show(self, |published| terminal.line(published.text()))
    }
}

/// So many days from now.
pub(crate) fn in_days(days: u16) -> Result<Timestamp> {
    let span = SignedDuration::from_hours(i64::from(days) * 24);
    Timestamp::now()
        .checked_add(span)
        .map_err(|error| Failure::of(Kind::Invalid, error).context("failed to set the expiry"))
}
