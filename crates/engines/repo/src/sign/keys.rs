//! Keys of the signature types: from options, from files, from the system's folders.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use updraft_crypto::plain::{self, SpkiKey};
use updraft_fs::Dir;

use super::{Error, Places, SignType};

/// The largest key file.
const MAX_FILE: u64 = 1 << 20;
/// Keys of one type that are tried.
const MAX_KEYS: usize = 1000;
const BEGIN: &str = "-----BEGIN ";
const ED25519_PUBLIC: usize = 32;

/// A public key of some type.
#[derive(Debug, Clone)]
pub(super) enum PublicKey {
    Ed25519([u8; ED25519_PUBLIC]),
    Spki(SpkiKey),
    Dummy(Vec<u8>),
}

impl PublicKey {
    fn parse(kind: SignType, text: &str) -> Result<Self, Error> {
        match kind {
            SignType::Dummy => Ok(Self::Dummy(text.as_bytes().to_vec())),
            SignType::Ed25519 => {
                let bytes = decoded(text)?;
                let actual = bytes.len();
                let key = bytes.try_into().map_err(|_| wrong_length(ED25519_PUBLIC, actual))?;
                Ok(Self::Ed25519(key))
            }
            SignType::Spki => Ok(Self::Spki(SpkiKey::from_der(&decoded(text)?)?)),
        }
    }

    pub(super) fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => plain::verify_ed25519(key, data, signature),
            Self::Spki(key) => key.verify(data, signature),
            Self::Dummy(key) => key == signature,
        }
    }

    /// As texts name it.
    pub(super) fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key,
            Self::Spki(key) => key.der(),
            Self::Dummy(key) => key,
        }
    }
}

/// The public keys of one type that are trusted.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    pub(super) kind: SignType,
    trusted: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl PublicKeys {
    /// No keys.
    #[must_use]
    pub fn new(kind: SignType) -> Self {
        Self { kind, trusted: Vec::new(), revoked: Vec::new() }
    }

    /// The type of the keys.
    #[must_use]
    pub fn kind(&self) -> SignType {
        self.kind
    }

    /// Trusts this key: base64, or a text for the type of tests.
    pub fn add(&mut self, key: &str) -> Result<(), Error> {
        self.trusted.push(PublicKey::parse(self.kind, key.trim())?);
        Ok(())
    }

    /// Trusts the keys in a file: one a line, or PEM for spki. What is no key is passed over;
    /// an error when none is one.
    pub fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let found = read_keys(self.kind, &read(path)?);
        if found.is_empty() {
            let path = path.display();
            let problem = format!("no valid keys in file '{path}'");
            return Err(Error::NotVerified { kind: self.kind, problem });
        }
        self.trusted.extend(found);
        Ok(())
    }

    /// Trusts what the system trusts, and takes note of what it revokes.
    pub fn add_system(&mut self, places: &Places) -> Result<(), Error> {
        if self.kind == SignType::Dummy {
            return Err(Error::NoSystemKeys);
        }
        for dir in &places.key_dirs {
            self.trusted.extend(keys_below(self.kind, dir, "trusted")?);
            self.revoked.extend(keys_below(self.kind, dir, "revoked")?);
        }
        if self.trusted.is_empty() {
            return Err(Error::NotVerified { kind: self.kind, problem: "no keys loaded".into() });
        }
        Ok(())
    }

    /// Those that may be used.
    pub(super) fn usable(&self) -> impl Iterator<Item = &PublicKey> {
        let good = |key: &&PublicKey| !self.revoked.iter().any(|bad| bad.bytes() == key.bytes());
        self.trusted.iter().filter(good).take(MAX_KEYS)
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }
}

/// A key that signs. Not printed.
pub struct SecretKey {
    kind: SignType,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Reads a key: base64 of seed and public key (or of the seed alone) for ed25519, base64 or
    /// PEM of DER for spki, any text for tests.
    pub fn parse(kind: SignType, text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let bytes = match kind {
            SignType::Dummy => text.as_bytes().to_vec(),
            SignType::Spki => match pem_blocks(text).into_iter().next() {
                Some(bytes) => bytes,
                None => decoded(text)?,
            },
            SignType::Ed25519 => {
                let bytes = decoded(text)?;
                if !matches!(bytes.len(), 32 | 64) {
                    return Err(wrong_length(64, bytes.len()));
                }
                bytes
            }
        };
        Ok(Self { kind, bytes })
    }

    /// The keys in a file: one a line, or one PEM for spki.
    pub fn read(kind: SignType, path: &Path) -> Result<Vec<Self>, Error> {
        let text = read(path)?;
        if kind == SignType::Spki && text.contains(BEGIN) {
            return Ok(vec![Self::parse(kind, &text)?]);
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| Self::parse(kind, line)).collect()
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> SignType {
        self.kind
    }

    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        match self.kind {
            SignType::Dummy => Ok(self.bytes.clone()),
            SignType::Spki => Ok(plain::sign_der(&self.bytes, data)?),
            SignType::Ed25519 => {
                let (seed, public) = self.bytes.split_at(ED25519_PUBLIC.min(self.bytes.len()));
                let seed = seed.try_into().map_err(|_| wrong_length(64, self.bytes.len()))?;
                Ok(plain::sign_ed25519(seed, public.try_into().ok(), data)?)
            }
        }
    }
}

fn wrong_length(expected: usize, actual: usize) -> Error {
    let problem = format!("Ill-formed input: expected {expected} bytes, got {actual} bytes");
    Error::BadKey { problem }
}

fn decoded(text: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(text).map_err(|_| Error::BadKey { problem: "it is not base64".into() })
}

fn keys_below(kind: SignType, dir: &Path, state: &str) -> Result<Vec<PublicKey>, Error> {
    let dir = match Dir::open(dir) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut keys = Vec::new();
    let name = format!("{state}.{kind}");
    if let Some(bytes) = dir.try_read(&name, MAX_FILE)? {
        keys.extend(read_keys(kind, &String::from_utf8_lossy(&bytes)));
    }
    if let Some(folder) = dir.try_open_dir(format!("{name}.d"))? {
        let mut names: Vec<_> = folder.entries()?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        for name in names {
            if let Some(bytes) = folder.try_read(&name, MAX_FILE)? {
                keys.extend(read_keys(kind, &String::from_utf8_lossy(&bytes)));
            }
        }
    }
    Ok(keys)
}

fn read_keys(kind: SignType, text: &str) -> Vec<PublicKey> {
    if kind == SignType::Spki && text.contains(BEGIN) {
        let keys = pem_blocks(text).into_iter().filter_map(|der| SpkiKey::from_der(&der).ok());
        return keys.map(PublicKey::Spki).collect();
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter_map(|line| PublicKey::parse(kind, line).ok()).collect()
}

/// The bytes of all PEM blocks, whatever they are called.
fn pem_blocks(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split(BEGIN).skip(1).filter_map(|block| {
        let body = block.split_once("-----\n").or_else(|| block.split_once("-----\r\n"))?.1;
        let body: String =
            body.split("-----END ").next()?.chars().filter(|c| !c.is_whitespace()).collect();
        BASE64.decode(body).ok()
    });
    blocks.collect()
}

fn read(path: &Path) -> Result<String, Error> {
    let name = path.file_name().unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = Dir::open(parent.unwrap_or(Path::new(".")))?;
    Ok(String::from_utf8_lossy(&dir.read(name, MAX_FILE)?).into_owned())
}
