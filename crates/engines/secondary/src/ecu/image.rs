//! The bytes of an image: received piece by piece, and kept under their hash.
//!
//! ```text
//! images/incoming    the beginning of what is being received
//! images/SHA256      whole, and what the metadata describes
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256, Sha512};
use updraft_ipuptane::OstreeCredentials;
use updraft_task::Context;
use updraft_tuf::{TargetFormat, UptaneTarget, Verified};

use super::Ecu;
use crate::payload::hash_of;
use crate::state::{ImageRecord, State};
use crate::{Error, Result};

const INCOMING: &str = "incoming";

/// An image that is being received.
#[derive(Debug)]
pub(super) struct Incoming {
    target: Verified<UptaneTarget>,
    file: File,
    length: u64,
    sha256: Sha256,
    sha512: Sha512,
    /// Its SHA-256, once all of it is here and right.
    whole: Option<String>,
}

impl Ecu {
    /// Takes the next piece of the assigned image. A piece that makes it too long, or whole and
    /// wrong, is refused, and all that came before goes with it.
    pub fn receive(&mut self, data: &[u8], now: Timestamp) -> Result<()> {
        let mut incoming = match self.incoming.take() {
            Some(incoming) => incoming,
            None => self.begin(now)?,
        };
        if incoming.whole.is_some() {
            // It was here already; the protocol has no way to say that no more is needed.
            self.incoming = Some(incoming);
            return Ok(());
        }
        let refusal =
            |what| Error::WrongContent { filepath: incoming.target.filepath.clone(), what };
        let length = incoming.length.saturating_add(data.len() as u64);
        if length > incoming.target.length {
            let refused = Err(refusal("length"));
            return self.note(refused);
        }
        let path = self.images.path().join(INCOMING);
        updraft_fs::fault::check().map_err(|errno| Error::io("write", &path)(errno.into()))?;
        incoming.file.write_all(data).map_err(Error::io("write", &path))?;
        incoming.sha256.update(data);
        incoming.sha512.update(data);
        incoming.length = length;
        if length == incoming.target.length {
            let sha256 = hex::encode(incoming.sha256.clone().finalize());
            let sha512 = hex::encode(incoming.sha512.clone().finalize());
            let hashes = &incoming.target.hashes;
            let fits = hashes.is_verifiable()
                && hashes.sha256().is_none_or(|wanted| wanted == sha256)
                && hashes.get("sha512").is_none_or(|wanted| wanted == sha512);
            if !fits {
                let refused = Err(refusal("hash"));
                self.images.try_unlink(INCOMING)?;
                return self.note(refused);
            }
            incoming.file.sync_all().map_err(Error::io("write", &path))?;
            // Commit point of a received image: what has this name is whole.
            self.images.rename(INCOMING, &self.images, &sha256)?;
            self.images.sync()?;
            incoming.whole = Some(sha256);
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Brings the assigned commit here. `credentials` is the archive in which the primary says
    /// from where; nothing but that is taken from it.
    pub fn download(&mut self, ctx: &Context, credentials: &[u8], now: Timestamp) -> Result<()> {
        let target = self.assigned(now)?;
        let source = OstreeCredentials::decode(credentials).map_err(|source| Error::Payload {
            action: "understand the primary's credentials",
            problem: source.to_string(),
            kind: updraft_error::Kind::Invalid,
        })?;
        let sha256 = commit_of(&target)?;
        self.payload.download(ctx, sha256, &source)
    }

    /// The assigned commit, all of which is here.
    pub(super) fn whole_commit(&mut self, target: &UptaneTarget) -> Result<ImageRecord> {
        let sha256 = commit_of(target)?;
        if !self.payload.has(sha256)? {
            let filepath = target.filepath.clone();
            return Err(Error::Incomplete { filepath, present: 0, length: target.length });
        }
        Ok(ImageRecord {
            filepath: target.filepath.clone(),
            length: target.length,
            sha256: sha256.to_owned(),
            release_counter: release_counter(target),
        })
    }

    /// Whether it installs commits, and no files.
    #[must_use]
    pub fn installs_commits(&self) -> bool {
        self.payload.format() == TargetFormat::Ostree
    }

    fn begin(&mut self, now: Timestamp) -> Result<Incoming> {
        let target = self.assigned(now)?;
        if target.format == TargetFormat::Ostree {
            return Err(Error::Unsupported {
                filepath: target.filepath.clone(),
                problem: "a commit is fetched, and no bytes are sent",
            });
        }
        self.images.try_unlink(INCOMING)?;
        let file = self.images.open_or_create(INCOMING, 0o600)?;
        // What has a hash for its name was verified when it got it, and is hashed again before it
        // is installed.
        let whole = match target.hashes.sha256() {
            Some(sha256) if self.images.exists(sha256)? => Some(sha256.to_owned()),
            _ => None,
        };
        let (sha256, sha512) = (Sha256::new(), Sha512::new());
        Ok(Incoming { target, file, length: 0, sha256, sha512, whole })
    }

    /// The whole image of a target, hashed again.
    pub(super) fn whole_image(&mut self, target: &UptaneTarget) -> Result<ImageRecord> {
        let incomplete = |present| Error::Incomplete {
            filepath: target.filepath.clone(),
            present,
            length: target.length,
        };
        let received = self.incoming.as_ref().map_or(0, |incoming| incoming.length);
        let known = self.incoming.as_ref().and_then(|incoming| incoming.whole.clone());
        // The target's own word goes first; what was received names it where it has none.
        let sha256 = target.hashes.sha256().map(str::to_owned).or(known);
        let sha256 = sha256.ok_or_else(|| incomplete(received))?;
        let Some(mut file) = self.images.try_open_file(&sha256)? else {
            return Err(incomplete(received));
        };
        let path = self.images.path().join(&sha256);
        let (found, length) = hash_of(&mut file).map_err(Error::io("read", &path))?;
        if found != sha256 || length != target.length {
            self.images.try_unlink(&sha256)?;
            return Err(incomplete(0));
        }
        // It may have been verified for another target, which listed fewer hashes.
        if let Some(listed) = target.hashes.get("sha512")
            && sha512_of(&mut file).map_err(Error::io("read", &path))? != listed
        {
            let filepath = target.filepath.clone();
            let refused = Err(Error::WrongContent { filepath, what: "hash" });
            return self.note(refused);
        }
        Ok(ImageRecord {
            filepath: target.filepath.clone(),
            length,
            sha256,
            release_counter: release_counter(target),
        })
    }

    /// Removes images that nobody can come back to.
    pub(super) fn drop_old_images(&self) -> Result<()> {
        let State { installed, installing, awaiting, unconfirmed, .. } = &self.state;
        let previous = unconfirmed.as_ref().and_then(|previous| previous.image.as_ref());
        let used = [installed.as_ref(), installing.as_ref(), awaiting.as_ref(), previous];
        let used: BTreeSet<&str> =
            used.into_iter().flatten().map(|image| image.sha256.as_str()).collect();
        for entry in self.images.entries()? {
            if !used.contains(&*entry.name.to_string_lossy()) {
                self.images.try_unlink(&entry.name)?;
            }
        }
        Ok(())
    }
}

fn sha512_of(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn commit_of(target: &UptaneTarget) -> Result<&str> {
    target.hashes.sha256().ok_or_else(|| Error::Unsupported {
        filepath: target.filepath.clone(),
        problem: "it is a commit without a sha256",
    })
}

fn release_counter(target: &UptaneTarget) -> Option<u64> {
    target.custom.as_ref()?.get("releaseCounter")?.as_u64()
}
