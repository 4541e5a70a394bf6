//! [`TrustedKeys`]: the keys of which one has to have signed a package.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use updraft_crypto::package::{PackageDigests, PackageHash, PackageKey};
use updraft_payload::{RecoveryKey, SigningHash};

use crate::package::{Medium, Zip};
use crate::{Error, Result};

/// The largest file with keys that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The most keys that are tried.
const MAX_KEYS: usize = 64;
/// What certificates in `otacerts.zip` end with.
const CERTIFICATE: &[u8] = b".x509.pem";

/// Keys, and whether those that sign SHA-1 count.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys {
    keys: Vec<PackageKey>,
    allow_sha1: bool,
}

impl TrustedKeys {
    /// Keys that sign SHA-1 count from now on. That hash can be forged by who can pay for it.
    #[must_use]
    pub fn allowing_sha1(self) -> Self {
        Self { allow_sha1: true, ..self }
    }

    /// Reads a file with keys and adds them: a certificate in PEM, `otacerts.zip`, or `/res/keys`.
    ///
    /// # Errors
    /// One wrong key makes all of them wrong: somebody changed the file.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let bad = |problem: String| Error::Keys { path: path.to_owned(), problem };
        let open = || File::open(path).map_err(Error::file("open", path));
        let mut bytes = Vec::new();
        open()?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(bad("it is over 1 MiB".to_owned()));
        }
        let keys = if bytes.starts_with(b"PK") {
            let zip = Zip::open(Medium::open(path)?, path)?;
            certificates(&zip).map_err(|error| bad(error.to_string()))?
        } else {
            let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is no text".to_owned()))?;
            of_text(text).map_err(|error| bad(error.to_string()))?
        };
        if keys.is_empty() {
            return Err(bad("there are none".to_owned()));
        }
        self.keys.extend(keys);
        if self.keys.len() > MAX_KEYS {
            return Err(bad(format!("there are more than {MAX_KEYS}")));
        }
        Ok(())
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether somebody has to know the SHA-1 of a package.
    pub(crate) fn needs_sha1(&self) -> bool {
        self.allow_sha1 && self.keys.iter().any(|key| key.hash() == PackageHash::Sha1)
    }

    /// Whether one of them signed a package with these hashes.
    pub(crate) fn accept(&self, digests: &PackageDigests, signature: &[u8]) -> Result<()> {
        if self.keys.iter().any(|key| key.verify(digests, signature)) {
            return Ok(());
        }
        let is_left_out = |key: &PackageKey| key.hash() == PackageHash::Sha1 && !self.allow_sha1;
        Err(Error::Untrusted(if self.keys.is_empty() {
            "there is no key that is trusted"
        } else if self.keys.iter().any(is_left_out) {
            "it is not signed by a key that is trusted; keys that sign SHA-1 were left out"
        } else {
            "it is not signed by a key that is trusted, or was changed after it was signed"
        }))
    }
}

fn certificates(zip: &Zip) -> Result<Vec<PackageKey>> {
    let mut keys = Vec::new();
    for entry in zip.entries().iter().filter(|entry| entry.name.ends_with(CERTIFICATE)) {
        let pem = zip.read(entry, MAX_FILE)?;
        keys.push(PackageKey::from_certificate(&String::from_utf8_lossy(&pem))?);
        if keys.len() > MAX_KEYS {
            break;
        }
    }
    Ok(keys)
}

fn of_text(text: &str) -> Result<Vec<PackageKey>> {
    if text.contains("-----BEGIN") {
        return Ok(vec![PackageKey::from_certificate(text)?]);
    }
    let hash = |hash| match hash {
        SigningHash::Sha1 => PackageHash::Sha1,
        SigningHash::Sha256 => PackageHash::Sha256,
    };
    let key = |key: &RecoveryKey| match key {
        RecoveryKey::Rsa { hash: own, exponent, modulus } => {
            PackageKey::rsa(modulus, *exponent, hash(*own))
        }
        RecoveryKey::P256 { x, y } => PackageKey::p256(x, y),
    };
    Ok(RecoveryKey::parse_all(text)?.iter().map(key).collect::<Result<_, _>>()?)
}
