//! A folder of private keys.
//!
//! ```text
//! FOLDER/            mode 0700
//!   KEYID.pem        PKCS#8 PEM, mode 0600
//!   KEYID.p11        where a key in a token is, mode 0600
//! ```
//! The id is the one of the store's dialect, so that the name says where the key is used. Which
//! role a key signs for stands in root metadata alone.

use std::path::{Path, PathBuf};

use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_fs::{Dir, FileKind, atomic_write};
use updraft_tuf::{Dialect, KeyId, PublicKey};

use crate::{Error, PrivateKey, TokenKey};

/// Largest key file, in bytes; RSA with 8192 bits has about 6,500.
const MAX_KEY_FILE: u64 = 16 * 1024;
const EXTENSION: &str = ".pem";
const TOKEN_EXTENSION: &str = ".p11";

/// A key of a [`KeyStore`], without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id in the store's dialect.
    pub key_id: KeyId,
    /// Its public half.
    pub public: PublicKey,
    /// Its file.
    pub path: PathBuf,
}

/// A folder of private keys.
#[derive(Debug)]
pub struct KeyStore {
    folder: Dir,
    dialect: Dialect,
}

impl KeyStore {
    /// Opens the folder, and makes it with mode 0700 when it does not exist.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: impl AsRef<Path>, dialect: Dialect) -> Result<Self, Error> {
        let folder = Dir::create_all(path, 0o700)?;
        Ok(Self { folder, dialect })
    }

    /// Where the keys lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes and stores a key.
    ///
    /// # Errors
    /// [`Error::Crypto`], [`Error::File`].
    pub fn generate(&self, algorithm: KeyAlgorithm) -> Result<SigningKey, Error> {
        let key = SigningKey::generate(algorithm)?;
        self.add(&key)?;
        Ok(key)
    }

    /// Stores a key; storing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::Crypto`], [`Error::File`].
    pub fn add(&self, key: &SigningKey) -> Result<KeyId, Error> {
        let key_id = key.key_id(self.dialect);
        let name = file_name(&key_id);
        atomic_write(&self.folder, name, key.to_pkcs8_pem()?.as_bytes(), 0o600)?;
        Ok(key_id)
    }

    /// Stores where a key in a token is: the URI by RFC 7512, and the program that loads the
    /// token's module. The token is asked for the public half.
    ///
    /// # Errors
    /// [`Error::Crypto`]: no helper, module, token or key, or a wrong PIN; [`Error::File`].
    pub fn add_token(&self, uri: &str, helper: &Path) -> Result<StoredKey, Error> {
        let key = PrivateKey::Token(TokenKey::find(uri, helper)?);
        let stored = self.stored(&key);
        if let PrivateKey::Token(key) = &key {
            let mut text = serde_json::to_vec_pretty(&key.to_json()).unwrap_or_default();
            text.push(b'\n');
            // The URI may hold a PIN.
            atomic_write(&self.folder, token_file_name(&stored.key_id), &text, 0o600)?;
        }
        Ok(stored)
    }

    /// All keys, by id.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Crypto`] for a `.pem` file that is no private key.
    pub fn list(&self) -> Result<Vec<StoredKey>, Error> {
        Ok(self.load_all()?.iter().map(|key| self.stored(key)).collect())
    }

    fn stored(&self, key: &PrivateKey) -> StoredKey {
        let key_id = key.key_id(self.dialect);
        let name = match key {
            PrivateKey::File(_) => file_name(&key_id),
            PrivateKey::Token(_) => token_file_name(&key_id),
        };
        StoredKey { public: key.public().clone(), key_id, path: self.path().join(name) }
    }

    /// Loads one key.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::File`], [`Error::Crypto`].
    pub fn load(&self, key_id: &KeyId) -> Result<PrivateKey, Error> {
        for name in [file_name(key_id), token_file_name(key_id)] {
            if let Some(bytes) = self.folder.try_read(&name, MAX_KEY_FILE)? {
                return read(&name, &bytes);
            }
        }
        Err(Error::NoSuchKey { key_id: key_id.clone(), folder: self.path().display().to_string() })
    }

    /// Loads all keys, by id. Tokens are asked when something is to be signed, and not before.
    ///
    /// # Errors
    /// As [`KeyStore::list`].
    pub fn load_all(&self) -> Result<Vec<PrivateKey>, Error> {
        let mut keys = Vec::new();
        for entry in self.folder.entries()? {
            let name = entry.name.to_string_lossy().into_owned();
            let is_key = name.ends_with(EXTENSION) || name.ends_with(TOKEN_EXTENSION);
            if entry.kind != FileKind::Regular || !is_key {
                continue;
            }
            keys.push(read(&name, &self.folder.read(&name, MAX_KEY_FILE)?)?);
        }
        keys.sort_by_key(|key| key.key_id(self.dialect));
        Ok(keys)
    }

    /// Forgets a key; one in a token stays there. What it signed stays valid until its role is
    /// rotated.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::File`].
    pub fn remove(&self, key_id: &KeyId) -> Result<(), Error> {
        for name in [file_name(key_id), token_file_name(key_id)] {
            if self.folder.try_unlink(name)? {
                self.folder.sync()?;
                return Ok(());
            }
        }
        Err(Error::NoSuchKey { key_id: key_id.clone(), folder: self.path().display().to_string() })
    }
}

/// Ids are printable ASCII when they come from metadata, so a `/` may occur there; ids that this
/// crate computes are hex. Anything else can name no file of ours.
fn file_name(key_id: &KeyId) -> String {
    format!("{}{EXTENSION}", safe(key_id))
}

fn token_file_name(key_id: &KeyId) -> String {
    format!("{}{TOKEN_EXTENSION}", safe(key_id))
}

fn safe(key_id: &KeyId) -> String {
    key_id.as_str().chars().map(|c| if c == '/' { '_' } else { c }).collect()
}

fn read(name: &str, bytes: &[u8]) -> Result<PrivateKey, Error> {
    if name.ends_with(TOKEN_EXTENSION) {
        let limit = usize::try_from(MAX_KEY_FILE).unwrap_or(usize::MAX);
        let value = updraft_tuf::json::parse(bytes, limit).map_err(Error::format(name))?;
        return TokenKey::from_json(&value).map(PrivateKey::Token);
    }
    Ok(SigningKey::from_pkcs8_pem(&String::from_utf8_lossy(bytes))?.into())
}

#[cfg(test)]
mod tests {
    use super::KeyStore;
    use crate::Error;
    use std::os::unix::fs::PermissionsExt;
    use updraft_crypto::KeyAlgorithm;
    use updraft_tuf::Dialect;

    #[test]
    fn keys_are_stored_for_their_owner_only_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::open(folder.path().join("keys"), Dialect::Uptane).unwrap();
        let key = store.generate(KeyAlgorithm::Ed25519).unwrap();
        let listed = store.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(&listed[0].public, key.public());
        let mode = std::fs::metadata(&listed[0].path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let loaded = store.load(&listed[0].key_id).unwrap();
        assert_eq!(loaded.public(), key.public());
        store.remove(&listed[0].key_id).unwrap();
        assert!(matches!(store.load(&listed[0].key_id), Err(Error::NoSuchKey { .. })));
    }

    #[test]
    fn a_damaged_key_file_is_an_error_that_does_not_show_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyStore::open(folder.path(), Dialect::Tuf).unwrap();
        std::fs::File::create(folder.path().join("x.pem"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"secret stuff"))
            .unwrap();
        let error = store.list().unwrap_err();
        assert!(!error.to_string().contains("secret stuff"));
    }
}
