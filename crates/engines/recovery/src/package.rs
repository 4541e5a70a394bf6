//! [`Package`] and [`VerifiedPackage`]: an OTA package, and what is in it.

mod medium;
mod zip;

use std::ops::Deref;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use updraft_crypto::package::PackageDigests;
use updraft_delta::ReadAt;
use updraft_payload::{PACKAGE_END, WholeFileSignature};
use updraft_task::{Context, Event, Unit};

pub(crate) use medium::Medium;
pub(crate) use zip::Zip;

use crate::{Error, Result, System, TrustedKeys};

const BUFFER: usize = 256 << 10;
const PHASE: &str = "verifying the package";

/// A package, of which nobody knows whose it is.
#[derive(Debug)]
pub struct Package {
    pub(crate) zip: Zip,
}

/// A package that one of the keys has signed: the only one that is installed.
#[derive(Debug)]
pub struct VerifiedPackage {
    package: Package,
    sha256: [u8; 32],
}

impl VerifiedPackage {
    /// Opens a package that one of the keys has signed.
    ///
    /// The same open file is verified and read from: nobody can put another one in its place. Whoever
    /// can write to the file can change it afterwards, though.
    ///
    /// # Errors
    /// [`Error::Untrusted`], and what is wrong with the file.
    pub fn open(context: &Context, path: &Path, keys: &TrustedKeys) -> Result<Self> {
        Self::verify(context, Medium::open(path)?, path, keys)
    }

    /// The same with one whose parts a [block map](updraft_payload::BlockMap) names.
    ///
    /// # Errors
    /// [`Error::Untrusted`], and what is wrong with the map or the package.
    pub fn open_mapped(
        context: &Context,
        system: &System,
        map: &Path,
        keys: &TrustedKeys,
    ) -> Result<Self> {
        Self::verify(context, Medium::open_mapped(system, map)?, map, keys)
    }

    fn verify(context: &Context, medium: Medium, path: &Path, keys: &TrustedKeys) -> Result<Self> {
        let size = medium.size().map_err(Error::file("look at", path))?;
        let signature = find(&medium, size, path)?;
        let digests = hash(context, &medium, signature.signed, keys.needs_sha1(), path)?;
        keys.accept(&digests, &signature.signature)?;
        let package = Package { zip: Zip::open(medium, path)? };
        Ok(Self { package, sha256: digests.sha256 })
    }

    /// The SHA-256 of what is signed, in hexadecimal: which package it is.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sha256)
    }
}

impl Deref for VerifiedPackage {
    type Target = Package;

    fn deref(&self) -> &Package {
        &self.package
    }
}

/// What the signature of a package is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// How many bytes are signed.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// The `SignedData`, DER.
    pub signed_data: Vec<u8>,
}

impl Package {
    /// Opens a package of which nobody knows whose it is, to look into it.
    ///
    /// # Errors
    /// When it is no package.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { zip: Zip::open(Medium::open(path)?, path)? })
    }

    /// What its signature is about; nobody is asked whose it is.
    ///
    /// # Errors
    /// When there is none.
    pub fn signed(&self, context: &Context) -> Result<Signed> {
        let Zip { medium, size, path, .. } = &self.zip;
        let signature = find(medium, *size, path)?;
        let digests = hash(context, &**medium, signature.signed, false, path)?;
        let WholeFileSignature { signed: bytes, signed_data, .. } = signature;
        Ok(Signed { bytes, sha256: digests.sha256, signed_data })
    }

    /// All that is in it.
    #[must_use]
    pub fn entries(&self) -> &[updraft_payload::Entry] {
        self.zip.entries()
    }

    /// Reads a small entry. `None`: there is none.
    ///
    /// # Errors
    /// When it has more than `limit` bytes, or is damaged.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.zip.entry(name).map(|entry| self.zip.read(entry, limit)).transpose()
    }

    /// Where the content of a stored entry is in the package. `None`: there is none.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn place(&self, name: &str) -> Result<Option<std::ops::Range<u64>>> {
        self.zip.entry(name).map(|entry| self.zip.place(entry)).transpose()
    }

    /// Reads some bytes of the package, as who fetches a range of it gets them.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn range(&self, start: u64, bytes: &mut [u8]) -> Result<()> {
        let Zip { medium, path, .. } = &self.zip;
        medium.read_exact_at(bytes, start).map_err(Error::file("read", path))
    }
}

fn find(medium: &Medium, size: u64, path: &Path) -> Result<WholeFileSignature> {
    let length = PACKAGE_END.min(size);
    let mut tail = vec![0; usize::try_from(length).unwrap_or_default()];
    medium.read_exact_at(&mut tail, size - length).map_err(Error::file("read", path))?;
    Ok(WholeFileSignature::find(&tail, size)?)
}

/// Hashes the first bytes of a package.
pub(crate) fn hash(
    context: &Context,
    file: &dyn ReadAt,
    length: u64,
    with_sha1: bool,
    path: &Path,
) -> Result<PackageDigests> {
    context.report(&Event::Started { phase: PHASE, total: Some(length), unit: Unit::Bytes });
    let (mut sha1, mut sha256) = (with_sha1.then(Sha1::default), Sha256::new());
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < length {
        context.check()?;
        let most = usize::try_from(length - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact_at(piece, at).map_err(Error::file("read", path))?;
        sha256.update(&*piece);
        if let Some(sha1) = &mut sha1 {
            sha1::Digest::update(sha1, &*piece);
        }
        at += most as u64;
        context.report(&Event::Advanced { phase: PHASE, done: at, total: Some(length) });
    }
    context.report(&Event::Finished { phase: PHASE });
    let sha1 = sha1.map(|sha1| sha1::Digest::finalize(sha1).into());
    Ok(PackageDigests { sha1, sha256: sha256.finalize().into() })
}
