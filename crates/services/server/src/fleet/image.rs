//! The Image repository as the server keeps it: root, targets and delegated targets come signed
//! from operators and are taken as a client would take them; snapshot and timestamp are signed
//! here, at once and again before they expire.
//!
//! The repository is in memory for serving and in the folder `image/` for keeping; the renaming
//! of its timestamp file is the commit point of each change. Where content lies in a bucket, it is
//! in the database instead: a store promises nothing about several files together.

mod in_database;
mod state;

use in_database::Lease;
use state::Turn;
pub(super) use state::{ImageState, ImageTurn};

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use updraft_api::{EventKind, ImageChange, ImageChanged, MetadataAccepted, OnlineKey, OnlineKeys};
use updraft_publish::{Expiries, ImageRepository, PrivateKey, TufFiles};
use updraft_tuf::{Envelope, Payload as _, RoleName, Root, Targets};

use super::Fleet;
use super::online_keys::{self, DIALECT, ImageKeys};
use super::operators::Operator;
use super::tuf::TufTrouble;
use crate::config::MetadataConfig;
use crate::error::{Error, Result, chain};
use crate::layout::Layout;
use crate::storage::Database;
use crate::storage::events::{self, NewEvent};

/// Role names of delegations are file names too.
const MAX_ROLE_NAME: usize = 128;

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

/// The Image repository as it is kept, beside a server that may be running.
pub(crate) fn stored(layout: &Layout, database: &Database) -> Result<Option<ImageRepository>> {
    match in_database::load(database)? {
        (_, Some((uptane, _))) => Ok(Some(uptane)),
        (_, None) => state::in_folder(layout),
    }
}

impl Fleet {
    /// The Image repository, once it has a root.
    pub fn image_repository(&self) -> Option<Arc<ImageRepository>> {
        self.follow_image();
        self.image.get()
    }

    /// The keys that the root must name for snapshot and timestamp.
    pub fn online_keys(&self) -> OnlineKeys {
        let wire = |keys: &[PrivateKey]| {
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
        self.accept_image_files(operator, &[(upload, bytes)])?;
        Ok(MetadataAccepted { role: upload.role(), version: version_of(upload, bytes)? })
    }

    /// Takes targets and delegated targets together: all of them, or none.
    pub fn accept_image_change(
        &self,
        operator: &Operator,
        change: &ImageChange,
    ) -> Result<ImageChanged> {
        let root = change.root.iter().map(|text| (Upload::Root, text.as_bytes()));
        let targets = change.targets.iter().map(|text| (Upload::Targets, text.as_bytes()));
        let delegated = change.delegations.iter();
        let delegated = delegated.map(|(name, text)| (Upload::Delegated(name), text.as_bytes()));
        // Root before targets before the others: each says who may sign the next.
        let files: Vec<(Upload<'_>, &[u8])> = root.chain(targets).chain(delegated).collect();
        if files.is_empty() && change.tuf.is_none() {
            return Err(Error::invalid("the change", "it has no files"));
        }
        let tuf = change.tuf.as_ref().map(|form| {
            let text = |text: &String| text.as_bytes().to_vec();
            let delegated = form.delegations.iter();
            TufFiles {
                root: form.root.as_ref().map(text),
                targets: form.targets.as_ref().map(text),
                delegated: delegated.map(|(name, file)| (name.clone(), text(file))).collect(),
            }
        });
        let turn = self.image_turn()?;
        self.accept_both_forms(operator, &files, tuf.as_ref())?;
        drop(turn);
        let accepted = files.into_iter().map(|(upload, bytes)| {
            Ok(MetadataAccepted { role: upload.role(), version: version_of(upload, bytes)? })
        });
        Ok(ImageChanged { accepted: accepted.collect::<Result<_>>()? })
    }

    fn accept_image_files(&self, operator: &Operator, files: &[(Upload<'_>, &[u8])]) -> Result<()> {
        let _turn = self.image_turn()?;
        self.accept_in_turn(operator, files)
    }

    /// One change at a time, of all servers that share the folder or the database: held from reading the old state
    /// to storing the new.
    pub(super) fn image_turn(&self) -> Result<ImageTurn<'_>> {
        let own = self.image_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = None;
        if self.contents.is_bucket() {
            if self.database.is_shared() {
                all = Some(Turn::Database(Lease::take(self)?));
            }
            self.image.begin_turn(&self.database)?;
        } else if self.database.is_shared() {
            all = Some(Turn::Folder(self.layout.lock_image()?));
            self.image.follow(&self.layout)?;
        }
        Ok(ImageTurn { _own: own, _all: all })
    }

    /// What another server has made of the repository since.
    pub(super) fn follow_image(&self) {
        let followed = if self.contents.is_bucket() {
            self.image.follow_database(&self.database)
        } else if self.database.is_shared() {
            self.image.follow(&self.layout)
        } else {
            return;
        };
        // What is served goes on to be whole, if old: it is tried again with the next request.
        if let Err(error) = followed {
            let reason = chain(&error);
            tracing::error!(reason, "the Image repository cannot be loaded anew");
        }
    }

    /// Takes files for somebody who holds the turn.
    pub(super) fn accept_in_turn(
        &self,
        operator: &Operator,
        files: &[(Upload<'_>, &[u8])],
    ) -> Result<()> {
        self.accept_both_forms(operator, files, None)
    }

    /// The same with the files of TUF's form; that begins when there are any.
    fn accept_both_forms(
        &self,
        operator: &Operator,
        files: &[(Upload<'_>, &[u8])],
        tuf: Option<&TufFiles>,
    ) -> Result<()> {
        self.check_delegate(operator, files)?;
        let now = self.now();
        let begins = tuf.is_some() && self.image.tuf().is_none();
        let outcome = self.try_accept(files, tuf, now);
        let actor = operator.actor();
        let of = "of the Image repository";
        let mut new = Vec::new();
        if begins && outcome.is_ok() {
            let message = "the Image repository is published in TUF's form too";
            new.push(NewEvent::new(EventKind::ImageMetadataAccepted, &actor, message));
        }
        for (upload, bytes) in files {
            let role = upload.role();
            new.push(match &outcome {
                Ok(()) => {
                    let version = version_of(*upload, bytes)?;
                    let message = format!("{role} version {version} {of} was accepted");
                    NewEvent::new(EventKind::ImageMetadataAccepted, &actor, message)
                }
                Err(error) => {
                    let message = format!("{role} {of} was refused: {}", chain(error));
                    NewEvent::new(EventKind::ImageMetadataRefused, &actor, message)
                }
            });
        }
        self.database.write("append an event", |tx| {
            new.iter().try_for_each(|event| events::append(tx, now, event).map(drop))
        })?;
        // Some component may follow a package that has a new version now.
        self.kick();
        outcome
    }

    fn try_accept(
        &self,
        files: &[(Upload<'_>, &[u8])],
        tuf: Option<&TufFiles>,
        now: Timestamp,
    ) -> Result<()> {
        let current = self.image.get();
        let mut next = current.as_deref().cloned();
        for (upload, bytes) in files {
            take(&mut next, *upload, bytes, now)?;
        }
        let Some(mut next) = next else { return Err(no_root()) };
        check_online_keys(&next, &self.image_keys)?;
        let last = files.last().map_or(Upload::Targets, |(upload, _)| *upload);
        let mut tuf = self.next_tuf(&next, tuf).map_err(|trouble| match trouble {
            TufTrouble::Files(error) => rejected(last, &error),
            TufTrouble::Keys(error) => error,
        })?;
        if next.targets().is_some() {
            match (self.make_current(&mut next, tuf.as_mut(), now, now), last) {
                (Ok(_), _) => {}
                // A root that names new targets keys: what the old snapshot says stays served
                // until targets signed by the new keys come.
                (Err(error), Upload::Root) => {
                    tracing::warn!(%error, "the new root needs newly signed targets");
                }
                (Err(error), _) => return Err(rejected(last, &error)),
            }
        }
        self.keep_image(next, tuf)
    }

    /// Signs snapshot and timestamp again when half of their time has passed.
    pub fn renew_image_metadata(&self) -> Result<()> {
        let _turn = self.image_turn()?;
        let Some(current) = self.image.get().filter(|image| image.targets().is_some()) else {
            return Ok(());
        };
        let now = self.now();
        let mut next = ImageRepository::clone(&current);
        let before = online_keys::half_life(now, self.config.metadata.timestamp_days);
        let mut tuf = self.image.tuf().map(|tuf| ImageRepository::clone(&tuf));
        let changed = self
            .make_current(&mut next, tuf.as_mut(), now, before)
            .map_err(Error::crypto("sign the Image repository's snapshot and timestamp"))?;
        if changed { self.keep_image(next, tuf) } else { Ok(()) }
    }

    pub(super) fn image_expiries(&self, now: Timestamp) -> Expiries {
        let MetadataConfig { image_snapshot_days, timestamp_days, .. } = self.config.metadata;
        let snapshot = online_keys::expiry(now, image_snapshot_days);
        let timestamp = online_keys::expiry(now, timestamp_days.min(image_snapshot_days));
        Expiries { targets: snapshot, snapshot, timestamp }
    }

    /// The Image repository, once it has targets.
    pub fn image_targets(&self) -> Result<Arc<ImageRepository>> {
        self.follow_image();
        self.image.get().filter(|image| image.targets().is_some()).ok_or_else(no_root)
    }
}

/// Verifies one file as a client would, and puts it into the repository.
fn take(
    repository: &mut Option<ImageRepository>,
    upload: Upload<'_>,
    bytes: &[u8],
    now: Timestamp,
) -> Result<()> {
    let refused = |source: updraft_publish::Error| rejected(upload, &source);
    let Some(next) = repository else {
        if upload != Upload::Root {
            return Err(no_root());
        }
        *repository = Some(ImageRepository::new(DIALECT, bytes, now).map_err(refused)?);
        return Ok(());
    };
    match upload {
        // The same root again is a retry.
        Upload::Root if next.file("root.json") == Some(bytes) => Ok(()),
        Upload::Root => next.accept_root(bytes, now).map_err(refused),
        Upload::Targets => next.accept_targets(bytes, now).map_err(refused),
        Upload::Delegated(name) => {
            check_role_name(name)?;
            next.accept_delegated(name, bytes, now).map_err(refused)
        }
    }
}

/// The version that a file says it has.
fn version_of(upload: Upload<'_>, bytes: &[u8]) -> Result<u64> {
    let envelope = Envelope::parse(DIALECT, bytes, bytes.len())
        .map_err(|error| Error::invalid("the metadata", error))?;
    let version = match upload {
        Upload::Root => Root::from_value(DIALECT, envelope.signed).map(|root| root.header.version),
        Upload::Targets | Upload::Delegated(_) => {
            Targets::from_value(DIALECT, envelope.signed).map(|targets| targets.header.version)
        }
    };
    version.map_err(|error| Error::invalid("the metadata", error))
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

pub(super) fn check_role_name(name: &str) -> Result<()> {
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

pub(super) fn no_root() -> Error {
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
    if let updraft_publish::Error::OutOfStep { .. } = source {
        let action = format!("publish {what}");
        return Error::Precondition { code: "tuf_form_missing", action, reason };
    }
    match source.kind() {
        Kind::Rejected => Error::Rejected { code: "metadata_refused", what, reason },
        Kind::NotFound => Error::NotFound { what: "what is needed:", name: reason },
        _ => Error::Invalid { what, reason },
    }
}
