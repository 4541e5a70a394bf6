//! The Image repository as the server keeps it: root, targets and delegated targets come signed
//! from operators and are taken as a client would take them; snapshot and timestamp are signed
//! here, at once and again before they expire.
//!
//! The repository is in memory for serving and in the folder `image/` for keeping; the renaming
//! of its timestamp file is the commit point of each change.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use updraft_api::{EventKind, MetadataAccepted, OnlineKey, OnlineKeys};
use updraft_crypto::SigningKey;
use updraft_publish::{Expiries, ImageRepository};
use updraft_tuf::{Payload as _, RoleName, Targets};

use super::Fleet;
use super::online_keys::{self, DIALECT, ImageKeys};
use super::operators::Operator;
use crate::config::MetadataConfig;
use crate::error::{Error, Result, chain};
use crate::layout::Layout;
use crate::storage::events::{self, NewEvent};

/// Role names of delegations are file names too.
const MAX_ROLE_NAME: usize = 128;

/// The Image repository; empty until an operator uploads a root.
#[derive(Debug, Default)]
pub(super) struct ImageState(RwLock<Option<Arc<ImageRepository>>>);

impl ImageState {
    /// Loads what was kept.
    pub(super) fn load(layout: &Layout) -> Result<Self> {
        let folder = layout.image();
        let mut entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(Error::Io { action: "open", path: folder, source }),
        };
        if entries.next().is_none() {
            return Ok(Self::default());
        }
        let repository = ImageRepository::load(&folder, DIALECT)
            .map_err(Error::crypto("load the Image repository in image/"))?;
        Ok(Self(RwLock::new(Some(Arc::new(repository)))))
    }

    fn get(&self) -> Option<Arc<ImageRepository>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, repository: ImageRepository) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(repository));
    }
}

/// What an operator uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload<'a> {
    /// A root.
    Root,
    /// Top-level targets.
    Targets,
    /// Targets of a delegated role.
    Delegated(&'a str),
}

impl Upload<'_> {
    fn role(self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Targets => "targets".to_owned(),
            Self::Delegated(name) => name.to_owned(),
        }
    }
}

impl Fleet {
    /// The Image repository, once it has a root.
    pub fn image_repository(&self) -> Option<Arc<ImageRepository>> {
        self.image.get()
    }

    /// The keys that the root must name for snapshot and timestamp.
    pub fn online_keys(&self) -> OnlineKeys {
        let wire = |keys: &[SigningKey]| {
            keys.iter()
                .map(|key| OnlineKey {
                    keyid: key.key_id(DIALECT).to_string(),
                    key: key.public().to_json(DIALECT),
                })
                .collect()
        };
        OnlineKeys {
            snapshot: wire(&self.image_keys.snapshot),
            timestamp: wire(&self.image_keys.timestamp),
        }
    }

    /// Takes signed metadata. Either all of it is served from now on, or nothing has changed.
    pub fn accept_image_metadata(
        &self,
        operator: &Operator,
        upload: Upload<'_>,
        bytes: &[u8],
    ) -> Result<MetadataAccepted> {
        let now = self.now();
        // One upload at a time: the lock is held from reading the old state to storing the new.
        let _turn = self.image_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.try_accept(upload, bytes, now);
        let actor = operator.actor();
        let event = match &outcome {
            Ok(accepted) => {
                let message = format!(
                    "{} version {} of the Image repository was accepted",
                    accepted.role, accepted.version
                );
                NewEvent::new(EventKind::ImageMetadataAccepted, &actor, message)
            }
            Err(error) => {
                let message = format!(
                    "{} of the Image repository was refused: {}",
                    upload.role(),
                    chain(error)
                );
                NewEvent::new(EventKind::ImageMetadataRefused, &actor, message)
            }
        };
        self.database.write("append an event", |tx| events::append(tx, now, &event))?;
        outcome
    }

    fn try_accept(
        &self,
        upload: Upload<'_>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<MetadataAccepted> {
        let refused = |source: updraft_publish::Error| rejected(upload, &source);
        let current = self.image.get();
        let mut next = match (&current, upload) {
            (None, Upload::Root) => ImageRepository::new(DIALECT, bytes, now).map_err(refused)?,
            (None, _) => return Err(no_root()),
            (Some(current), _) => ImageRepository::clone(current),
        };
        match upload {
            Upload::Root if current.is_none() => {}
            // The same root again is a retry.
            Upload::Root if next.file("root.json") == Some(bytes) => {}
            Upload::Root => next.accept_root(bytes, now).map_err(refused)?,
            Upload::Targets => next.accept_targets(bytes, now).map_err(refused)?,
            Upload::Delegated(name) => {
                check_role_name(name)?;
                next.accept_delegated(name, bytes, now).map_err(refused)?;
            }
        }
        check_online_keys(&next, &self.image_keys)?;
        if next.targets().is_some() {
            let refreshed = next.refresh(&self.image_keys.all(), self.image_expiries(now), now);
            match (refreshed, upload) {
                (Ok(_), _) => {}
                // A root that names new targets keys: what the old snapshot says stays served
                // until targets signed by the new keys come.
                (Err(error), Upload::Root) => {
                    tracing::warn!(%error, "the new root needs newly signed targets");
                }
                (Err(error), _) => return Err(refused(error)),
            }
        }
        next.save(self.layout.image()).map_err(Error::crypto("store the Image repository"))?;
        let version = match upload {
            Upload::Root => next.root().header().version,
            Upload::Targets | Upload::Delegated(_) => payload_version(bytes)?,
        };
        self.image.set(next);
        Ok(MetadataAccepted { role: upload.role(), version })
    }

    /// Signs snapshot and timestamp again when half of their time has passed.
    pub fn renew_image_metadata(&self) -> Result<()> {
        let _turn = self.image_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = self.image.get().filter(|image| image.targets().is_some()) else {
            return Ok(());
        };
        let now = self.now();
        let mut next = ImageRepository::clone(&current);
        let before = online_keys::half_life(now, self.config.metadata.timestamp_days);
        let changed = next
            .refresh(&self.image_keys.all(), self.image_expiries(now), before)
            .map_err(Error::crypto("sign the Image repository's snapshot and timestamp"))?;
        if changed {
            next.save(self.layout.image()).map_err(Error::crypto("store the Image repository"))?;
            self.image.set(next);
        }
        Ok(())
    }

    fn image_expiries(&self, now: Timestamp) -> Expiries {
        let MetadataConfig { image_snapshot_days, timestamp_days, .. } = self.config.metadata;
        let snapshot = online_keys::expiry(now, image_snapshot_days);
        let timestamp = online_keys::expiry(now, timestamp_days.min(image_snapshot_days));
        Expiries { targets: snapshot, snapshot, timestamp }
    }

    /// The Image repository's top-level targets.
    pub fn image_targets(&self) -> Result<Arc<ImageRepository>> {
        self.image.get().filter(|image| image.targets().is_some()).ok_or_else(no_root)
    }

    /// Stores the content of a target file, after comparing it with what the signed targets say.
    pub fn store_target_file(&self, name: &str, content: &mut dyn std::io::Read) -> Result<bool> {
        crate::names::target_name(name)?;
        let image = self.image_targets()?;
        let listed = image
            .targets()
            .and_then(|targets| targets.payload.targets.get(name))
            .ok_or_else(|| Error::not_found("in the signed targets", name))?;
        let sha256 = listed
            .hashes
            .sha256()
            .ok_or_else(|| Error::invalid("the target", "it is listed without a SHA-256"))?;
        let folder = updraft_fs::Dir::create_all(self.layout.targets(), 0o755)
            .map_err(Error::fs("open the folder of target files"))?;
        if folder.exists(sha256).map_err(Error::fs("look for a target file"))? {
            return Ok(false);
        }
        let mut file =
            updraft_fs::TempFile::new_in(&folder).map_err(Error::fs("make a target file"))?;
        copy_verified(content, &mut file, listed.length, sha256)?;
        file.set_mode(0o644).map_err(Error::fs("store a target file"))?;
        file.sync().map_err(Error::fs("store a target file"))?;
        // Commit point: the name appears with the whole content.
        file.persist_new(&folder, sha256).map_err(Error::fs("store a target file"))?;
        folder.sync().map_err(Error::fs("store a target file"))?;
        Ok(true)
    }

    /// The SHA-256 under which a target file's content is stored, when the targets list it.
    pub fn target_file_hash(&self, name: &str) -> Option<String> {
        let image = self.image.get()?;
        let listed = image.targets()?.payload.targets.get(name)?;
        listed.hashes.sha256().map(str::to_owned)
    }
}

fn copy_verified(
    content: &mut dyn std::io::Read,
    file: &mut updraft_fs::TempFile,
    length: u64,
    sha256: &str,
) -> Result<()> {
    use std::io::Write as _;
    let what = "the target file";
    let received = |error: std::io::Error| Error::Receive { what, reason: error.to_string() };
    let mut hash = Sha256::new();
    let mut total = 0_u64;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = content.read(&mut buffer).map_err(received)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        total = total.saturating_add(piece.len() as u64);
        if total > length {
            return Err(Error::TooLarge { what, limit: length });
        }
        hash.update(piece);
        file.file_mut().write_all(piece).map_err(|source| Error::Io {
            action: "write",
            path: what.into(),
            source,
        })?;
    }
    if total != length || hex::encode(hash.finalize()) != sha256 {
        return Err(Error::Rejected {
            code: "wrong_hash",
            what,
            reason: "its length or SHA-256 is not what the signed targets say".to_owned(),
        });
    }
    Ok(())
}

fn payload_version(bytes: &[u8]) -> Result<u64> {
    let envelope = updraft_tuf::Envelope::parse(DIALECT, bytes, bytes.len())
        .map_err(|error| Error::invalid("the metadata", error))?;
    let payload = Targets::from_value(DIALECT, envelope.signed)
        .map_err(|error| Error::invalid("the metadata", error))?;
    Ok(payload.header.version)
}

/// Refuses a root under which this server could not sign.
fn check_online_keys(image: &ImageRepository, keys: &ImageKeys) -> Result<()> {
    let roles = [(RoleName::Snapshot, &keys.snapshot), (RoleName::Timestamp, &keys.timestamp)];
    for (role, keys) in roles {
        let ours = keys.iter().filter(|key| {
            image.root().role(&role).is_some_and(|role| {
                role.key_ids.iter().any(|id| {
                    image.root().keys.get(id).and_then(|key| key.public()) == Some(key.public())
                })
            })
        });
        let threshold = image.root().role(&role).map_or(1, |role| role.threshold);
        if (ours.count() as u64) < threshold {
            return Err(Error::Rejected {
                code: "online_keys_missing",
                what: "the root",
                reason: format!(
                    "role {role} cannot be signed by this server; it must name the keys that \
                     GET {} gives",
                    updraft_api::paths::ONLINE_KEYS
                ),
            });
        }
    }
    Ok(())
}

fn check_role_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty()
        || name.len() > MAX_ROLE_NAME
        || name.starts_with('.')
        || !name.bytes().all(fits)
    {
        return Err(Error::Name {
            what: "role name",
            value: name.chars().take(80).collect::<String>().escape_default().to_string(),
            reason: "it must have 1 to 128 characters of A-Z a-z 0-9 . _ -".to_owned(),
        });
    }
    Ok(())
}

fn no_root() -> Error {
    Error::NotReady {
        action: "use the Image repository".to_owned(),
        reason: "no signed root and targets have been uploaded yet".to_owned(),
    }
}

fn rejected(upload: Upload<'_>, source: &updraft_publish::Error) -> Error {
    use updraft_error::{Classify as _, Kind};
    let what = match upload {
        Upload::Root => "the root",
        Upload::Targets => "the targets",
        Upload::Delegated(_) => "the delegated targets",
    };
    let reason = chain(source);
    match source.kind() {
        Kind::Rejected => Error::Rejected { code: "metadata_refused", what, reason },
        Kind::NotFound => Error::NotFound { what: "what is needed:", name: reason },
        _ => Error::Invalid { what, reason },
    }
}
