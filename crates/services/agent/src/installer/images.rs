//! The folder of image files: each under its hash, as aktualizr keeps them: its SHA-256, or the
//! SHA-512 of one that has no other in its metadata.
//!
//! ```text
//! IMAGES/<HASH in upper case>        verified whole
//! IMAGES/<HASH in upper case>.part   the beginning of one; hashed again before it goes on
//! ```
//! aktualizr writes beginnings under the whole name: one that is found there goes on as well.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256, Sha512};
use updraft_crypto::ImageKey;
use updraft_crypto::image_cipher::{self, CipherError};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind};
use updraft_http::{Client, DownloadOptions, Expected};
use updraft_task::Context;
use updraft_tuf::Hashes;
use updraft_update::{Digest, StepError};

use super::{check_space, transfer_failed};
use crate::medium::Medium;
use crate::session::Session;

const PART: &str = ".part";
const BUFFER: usize = 64 << 10;

/// An image that is to be fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The hash that it is kept under.
    pub(crate) digest: &'a Digest,
    /// All its hashes; every known one has to fit.
    pub(crate) hashes: &'a Hashes,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// Where it is.
    pub(crate) url: &'a str,
}

/// A folder of image files.
#[derive(Debug)]
pub(crate) struct Images {
    folder: Dir,
    watermark: u8,
}

impl Images {
    /// The folder, made when it is not there; `watermark` is how full its file system may get, in
    /// percent.
    pub(crate) fn open(path: &Path, watermark: u8) -> Result<Self, updraft_fs::Error> {
        Ok(Self { folder: Dir::create_all(path, 0o755)?, watermark })
    }

    /// Whether the whole image is here. It is read and hashed.
    pub(crate) fn has(&self, ctx: &Context, digest: &Digest) -> Result<bool, StepError> {
        let Some(mut file) = self.folder.try_open_file(name(digest)).map_err(StepError::new)?
        else {
            return Ok(false);
        };
        Ok(hash(ctx, &mut file)?.is(digest))
    }

    /// Whether the whole image is here and has every known hash that is listed for it.
    pub(crate) fn has_all(
        &self,
        ctx: &Context,
        digest: &Digest,
        hashes: &Hashes,
    ) -> Result<bool, StepError> {
        let Some(mut file) = self.folder.try_open_file(name(digest)).map_err(StepError::new)?
        else {
            return Ok(false);
        };
        let seen = hash(ctx, &mut file)?;
        Ok(seen.is(digest) && seen.fits(hashes))
    }

    /// An image that is here, for reading from its start.
    pub(crate) fn open_image(&self, digest: &Digest) -> Result<File, StepError> {
        self.folder.open_file(name(digest)).map_err(StepError::new)
    }

    /// Brings an image here, going on with the beginning that is there.
    pub(crate) fn fetch(
        &self,
        ctx: &Context,
        client: &Client,
        wanted: &Wanted<'_>,
    ) -> Result<(), StepError> {
        let whole = name(wanted.digest);
        let part = format!("{whole}{PART}");
        if self.folder.exists(&whole).map_err(StepError::new)? {
            if self.has_all(ctx, wanted.digest, wanted.hashes)? {
                return Ok(());
            }
            self.folder.rename(&whole, &self.folder, &part).map_err(StepError::new)?;
        }
        let mut file = self.folder.open_or_create(&part, 0o644).map_err(StepError::new)?;
        let local =
            |source| updraft_fs::Error::new("write", self.folder.path().join(&part), source);
        let present = file.metadata().map_err(|error| StepError::new(local(error)))?.len();
        check_space(&file, wanted.length.saturating_sub(present), self.watermark)?;
        let expected = Expected {
            length: Some(wanted.length),
            sha256: hex::decode(wanted.digest.as_str()).ok().and_then(|it| it.try_into().ok()),
        };
        let options = DownloadOptions::default();
        client.download(ctx, wanted.url, &mut file, expected, options).map_err(transfer_failed)?;
        if let Some(sha512) = wanted.hashes.get("sha512") {
            let found = hash(ctx, &mut file)?.sha512;
            if found != sha512 {
                self.folder.unlink(&part).map_err(StepError::new)?;
                let problem = format!("accept {}: its SHA-512 is {found}", wanted.url);
                return Err(StepError::message(Kind::Rejected, problem));
            }
        }
        updraft_fs::fault::check().map_err(|errno| StepError::new(local(errno.into())))?;
        file.sync_all().map_err(|error| StepError::new(local(error)))?;
        // Commit point of a fetched image: what has this name is whole.
        self.folder.rename(&part, &self.folder, &whole).map_err(StepError::new)?;
        self.folder.sync().map_err(StepError::new)
    }

    /// Brings an image here, from a medium or else from the server.
    pub(crate) fn bring(
        &self,
        ctx: &Context,
        session: &Session,
        medium: Option<&Medium>,
        wanted: &Wanted<'_>,
    ) -> Result<(), StepError> {
        match medium {
            Some(medium) => self.copy(ctx, medium.image(wanted.digest)?, wanted),
            None => self.fetch(ctx, &session.gateway.client, wanted),
        }
    }

    /// Makes an image of its ciphertext, which is here and goes; the image is verified before it
    /// has its name.
    pub(crate) fn decrypt(
        &self,
        ctx: &Context,
        key: &ImageKey,
        sealed: &Digest,
        wanted: &Wanted<'_>,
    ) -> Result<(), StepError> {
        let (whole, sealed) = (name(wanted.digest), name(sealed));
        let part = format!("{whole}{PART}");
        let local = |source| {
            StepError::new(updraft_fs::Error::new("decrypt to", self.folder.path(), source))
        };
        let ciphertext = self.folder.open_file(&sealed).map_err(StepError::new)?;
        let mut file = self.folder.open_or_create(&part, 0o644).map_err(StepError::new)?;
        file.set_len(0).map_err(local)?;
        check_space(&file, wanted.length, self.watermark)?;
        let opened = image_cipher::open(key, &mut Stoppable { ctx, file: ciphertext }, &mut file);
        ctx.check().map_err(StepError::new)?;
        let refusal = match opened {
            Err(CipherError::Io(source)) => return Err(local(source)),
            Err(CipherError::Cipher(error)) => Some(StepError::new(error)),
            Ok(()) => {
                let seen = hash(ctx, &mut file)?;
                let length = file.metadata().map_err(local)?.len();
                let fits = seen.is(wanted.digest) && seen.fits(wanted.hashes);
                let problem = "decrypt the image: what comes out is not the image that is listed";
                (length != wanted.length || !fits)
                    .then(|| StepError::message(Kind::Rejected, problem))
            }
        };
        if let Some(refusal) = refusal {
            for name in [&part, &sealed] {
                self.folder.unlink(name).map_err(StepError::new)?;
            }
            return Err(refusal);
        }
        updraft_fs::fault::check().map_err(|errno| local(errno.into()))?;
        file.sync_all().map_err(local)?;
        // Commit point of a decrypted image: what has this name is whole.
        self.folder.rename(&part, &self.folder, &whole).map_err(StepError::new)?;
        self.folder.unlink(&sealed).map_err(StepError::new)?;
        self.folder.sync().map_err(StepError::new)
    }

    /// Brings an image here from a file that nobody has looked into yet.
    pub(crate) fn copy(
        &self,
        ctx: &Context,
        from: File,
        wanted: &Wanted<'_>,
    ) -> Result<(), StepError> {
        let whole = name(wanted.digest);
        if self.has_all(ctx, wanted.digest, wanted.hashes)? {
            return Ok(());
        }
        let part = format!("{whole}{PART}");
        let local =
            |source| StepError::new(updraft_fs::Error::new("copy to", self.folder.path(), source));
        let mut file = self.folder.open_or_create(&part, 0o644).map_err(StepError::new)?;
        file.set_len(0).map_err(local)?;
        check_space(&file, wanted.length, self.watermark)?;
        // One byte more than there may be shows that there are too many.
        let mut from = from.take(wanted.length.saturating_add(1));
        let copied = std::io::copy(&mut from, &mut file).map_err(local)?;
        let seen = hash(ctx, &mut file)?;
        let fits = seen.is(wanted.digest) && seen.fits(wanted.hashes);
        if copied != wanted.length || !fits {
            self.folder.unlink(&part).map_err(StepError::new)?;
            let problem = format!("accept {} from the medium: it is another file", wanted.digest);
            return Err(StepError::message(Kind::Rejected, problem));
        }
        updraft_fs::fault::check().map_err(|errno| local(errno.into()))?;
        file.sync_all().map_err(local)?;
        // Commit point of a copied image: what has this name is whole.
        self.folder.rename(&part, &self.folder, &whole).map_err(StepError::new)?;
        self.folder.sync().map_err(StepError::new)
    }

    /// Removes all images but these, with their beginnings. Other files are left alone.
    pub(crate) fn keep_only(&self, keep: &BTreeSet<Digest>) -> Result<(), StepError> {
        for entry in self.folder.entries().map_err(StepError::new)? {
            let text = entry.name.to_string_lossy().into_owned();
            let digest = text.strip_suffix(PART).unwrap_or(&text).to_ascii_lowercase();
            let Ok(digest) = digest.parse::<Digest>() else { continue };
            let is_part = text.ends_with(PART);
            if entry.kind == FileKind::Regular && (is_part || !keep.contains(&digest)) {
                self.folder.unlink(&entry.name).map_err(StepError::new)?;
            }
        }
        Ok(())
    }
}

/// aktualizr's way of writing a hash.
fn name(digest: &Digest) -> String {
    digest.as_str().to_ascii_uppercase()
}

/// What was seen of a file: its hashes, in lower hex.
struct Seen {
    sha256: String,
    sha512: String,
}

impl Seen {
    /// Whether it is the file that this stands for, by whichever hash.
    fn is(&self, digest: &Digest) -> bool {
        [&self.sha256, &self.sha512].into_iter().any(|seen| seen == digest.as_str())
    }

    /// Whether no listed hash of a known algorithm is another one.
    fn fits(&self, listed: &Hashes) -> bool {
        let fits =
            |algorithm, seen: &str| listed.get(algorithm).is_none_or(|listed| listed == seen);
        fits("sha256", &self.sha256) && fits("sha512", &self.sha512)
    }
}

/// A file whose reading ends when the work is cancelled.
struct Stoppable<'a> {
    ctx: &'a Context,
    file: File,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.ctx.check().map_err(std::io::Error::other)?;
        self.file.read(buffer)
    }
}

/// The hashes of a file, all of which is read.
fn hash(ctx: &Context, file: &mut File) -> Result<Seen, StepError> {
    let read = |source| StepError::new(updraft_fs::Error::new("read", "an image", source));
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let (mut sha256, mut sha512) = (Sha256::new(), Sha512::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        ctx.check().map_err(StepError::new)?;
        let length = file.read(&mut buffer).map_err(read)?;
        if length == 0 {
            let (sha256, sha512) = (sha256.finalize(), sha512.finalize());
            return Ok(Seen { sha256: hex::encode(sha256), sha512: hex::encode(sha512) });
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        sha256.update(bytes);
        sha512.update(bytes);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use updraft_tuf::Payload as _;

    fn digest(bytes: &[u8]) -> Digest {
        updraft_crypto::sha256_hex(bytes).parse().unwrap()
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    #[test]
    fn only_whole_images_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(&folder.path().join("images"), 100).unwrap();
        let ctx = Context::silent();
        let folder = folder.path().join("images");
        let digest = digest(b"whole");
        assert!(!images.has(&ctx, &digest).unwrap());
        write(&folder, &format!("{}.part", name(&digest)), b"whole");
        assert!(!images.has(&ctx, &digest).unwrap(), "a beginning counts");
        write(&folder, &name(&digest), b"who");
        assert!(!images.has(&ctx, &digest).unwrap(), "a beginning of aktualizr's counts");
        write(&folder, &name(&digest), b"whole");
        assert!(images.has(&ctx, &digest).unwrap());
    }

    #[test]
    fn every_listed_hash_of_an_image_that_is_here_counts() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path(), 100).unwrap();
        let digest = digest(b"whole");
        write(folder.path(), &name(&digest), b"whole");
        let listed = |sha512: String| {
            let target = serde_json::json!({
                "_type": "Targets", "version": 1, "expires": "2100-01-01T00:00:00Z",
                "targets": { "x": { "length": 5, "hashes": {
                    "sha256": digest.as_str(), "sha512": sha512,
                } } },
            });
            let read = updraft_tuf::Targets::from_value(updraft_tuf::Dialect::Uptane, target);
            read.unwrap().targets["x"].hashes.clone()
        };
        let ctx = Context::silent();
        let right = listed(hex::encode(Sha512::digest(b"whole")));
        assert!(images.has_all(&ctx, &digest, &right).unwrap());
        let wrong = listed(hex::encode(Sha512::digest(b"other")));
        assert!(images.has(&ctx, &digest).unwrap());
        assert!(!images.has_all(&ctx, &digest, &wrong).unwrap());
    }

    #[test]
    fn old_images_and_beginnings_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path(), 100).unwrap();
        let (old, new) = (digest(b"old"), digest(b"new"));
        write(folder.path(), &name(&old), b"old");
        write(folder.path(), &name(&new), b"new");
        write(folder.path(), &format!("{}.part", name(&new)), b"n");
        write(folder.path(), "README", b"");
        images.keep_only(&BTreeSet::from([new.clone()])).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = vec![name(&new), "README".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
