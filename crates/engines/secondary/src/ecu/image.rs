//! The bytes of an image: received piece by piece, and kept under their hash.
//!
//! ```text
//! images/incoming    the beginning of what is being received
//! images/opened      what is being decrypted
//! images/SHA256      whole, and what the metadata describes
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256, Sha512};
use updraft_crypto::image_cipher::{self, CipherError};
use updraft_error::Kind;
use updraft_ipuptane::OstreeCredentials;
use updraft_task::Context;
use updraft_tuf::{Hashes, TargetFormat, UptaneTarget, Verified};

use super::Ecu;
use crate::payload::hash_of;
use crate::state::{ImageRecord, State};
use crate::{CommitObjects, Error, Result};

const INCOMING: &str = "incoming";
const OPENED: &str = "opened";

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

impl Incoming {
    /// Length and hashes of what is sent: the image, or its ciphertext.
    fn described(&self) -> (u64, &Hashes) {
        match &self.target.encrypted {
            Some(encrypted) => (encrypted.length, &encrypted.hashes),
            None => (self.target.length, &self.target.hashes),
        }
    }
}

impl Ecu {
    /// Takes the next piece of the assigned image, or of its ciphertext where it is encrypted for
    /// this ECU. A piece that makes it too long, or whole and
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
        let whole_length = incoming.described().0;
        if length > whole_length {
            let refused = Err(refusal("length"));
            return self.note(refused);
        }
        let path = self.images.path().join(INCOMING);
        updraft_fs::fault::check().map_err(|errno| Error::io("write", &path)(errno.into()))?;
        incoming.file.write_all(data).map_err(Error::io("write", &path))?;
        incoming.sha256.update(data);
        incoming.sha512.update(data);
        incoming.length = length;
        if length == whole_length {
            let seen = Seen::of(&incoming.sha256, &incoming.sha512);
            if !seen.fits(incoming.described().1) {
                let refused = Err(refusal("hash"));
                self.images.try_unlink(INCOMING)?;
                return self.note(refused);
            }
            let image = if incoming.target.encrypted.is_some() {
                match self.decrypt(&incoming) {
                    Ok(opened) => opened,
                    refused => {
                        self.images.try_unlink(INCOMING)?;
                        return self.note(refused).map(drop);
                    }
                }
            } else {
                incoming.file.sync_all().map_err(Error::io("write", &path))?;
                (INCOMING, seen.sha256)
            };
            // Commit point of a received image: what has this name is whole.
            self.images.rename(image.0, &self.images, &image.1)?;
            self.images.try_unlink(INCOMING)?;
            self.images.sync()?;
            incoming.whole = Some(image.1);
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Decrypts a ciphertext that is all here and right, to a file that is not an image yet; gives
    /// its name and the image's SHA-256, once it is the one that the metadata describes.
    fn decrypt(&self, incoming: &Incoming) -> Result<(&'static str, String)> {
        let target = &incoming.target;
        let refusal = |what| Error::WrongContent { filepath: target.filepath.clone(), what };
        let undecryptable = |error: &dyn std::fmt::Display| Error::Payload {
            action: "accept the image",
            problem: error.to_string(),
            kind: Kind::Rejected,
        };
        let encrypted = target.encrypted.as_ref().ok_or(Error::NothingAssigned)?;
        let key = self.key.image_key(encrypted).map_err(|error| undecryptable(&error))?;
        self.images.try_unlink(OPENED)?;
        let file = self.images.open_or_create(OPENED, 0o600)?;
        let path = self.images.path().join(OPENED);
        let mut opened = Hashing { file, length: 0, sha256: Sha256::new(), sha512: Sha512::new() };
        let mut sealed = self.images.open_file(INCOMING)?;
        let decrypted = image_cipher::open(&key, &mut sealed, &mut opened);
        let seen = Seen::of(&opened.sha256, &opened.sha512);
        let judged = match decrypted {
            Err(CipherError::Io(source)) => Err(Error::io("write", &path)(source)),
            Err(CipherError::Cipher(error)) => Err(undecryptable(&error)),
            Ok(()) if opened.length != target.length => Err(refusal("length")),
            Ok(()) if !seen.fits(&target.hashes) => Err(refusal("hash")),
            Ok(()) => opened.file.sync_all().map_err(Error::io("write", &path)),
        };
        match judged {
            Ok(()) => Ok((OPENED, seen.sha256)),
            Err(error) => {
                self.images.try_unlink(OPENED)?;
                Err(error)
            }
        }
    }

    /// Brings the assigned commit here. `credentials` is the archive in which the primary says
    /// from where; nothing but that is taken from it.
    pub fn download(&mut self, ctx: &Context, credentials: &[u8], now: Timestamp) -> Result<()> {
        let target = self.assigned(now)?;
        let source = OstreeCredentials::decode(credentials).map_err(|source| Error::Payload {
            action: "understand the primary's credentials",
            problem: source.to_string(),
            kind: Kind::Invalid,
        })?;
        let sha256 = commit_of(&target)?;
        self.payload.download(ctx, sha256, &source)
    }

    /// Brings the assigned commit here from the primary itself.
    pub fn take_commit(
        &mut self,
        ctx: &Context,
        from: &dyn CommitObjects,
        now: Timestamp,
    ) -> Result<()> {
        let target = self.assigned(now)?;
        let sha256 = commit_of(&target)?;
        self.payload.take_commit(ctx, sha256, from)
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
            sha512: None,
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
            sha512: match target.hashes.sha256() {
                Some(_) => None,
                None => target.hashes.get("sha512").map(str::to_owned),
            },
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

/// Both hashes of something, in lower hex.
struct Seen {
    sha256: String,
    sha512: String,
}

impl Seen {
    fn of(sha256: &Sha256, sha512: &Sha512) -> Self {
        let (sha256, sha512) = (sha256.clone().finalize(), sha512.clone().finalize());
        Self { sha256: hex::encode(sha256), sha512: hex::encode(sha512) }
    }

    /// Whether every listed hash of a known algorithm is the one that was seen, and one is listed.
    fn fits(&self, listed: &Hashes) -> bool {
        listed.is_verifiable()
            && listed.sha256().is_none_or(|wanted| wanted == self.sha256)
            && listed.get("sha512").is_none_or(|wanted| wanted == self.sha512)
    }
}

/// A file that is hashed as it is written.
struct Hashing {
    file: File,
    length: u64,
    sha256: Sha256,
    sha512: Sha512,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        updraft_fs::fault::check()?;
        let written = self.file.write(bytes)?;
        let part = bytes.get(..written).unwrap_or_default();
        self.sha256.update(part);
        self.sha512.update(part);
        self.length = self.length.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
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
