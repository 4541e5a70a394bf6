//! A private key of a store: in a file, or in a token that a helper talks to.
//!
//! ```text
//! KEYID.p11, mode 0600
//! {"format": "updraft-token-key", "version": 1, "uri": "pkcs11:…", "helper": "/usr/bin/updraftd-keys",
//!  "key": {"keytype", "keyval": {"public"}}}
//! ```
//! The public half stands beside the URI, so that a store can be read while the token is in a safe.
//! The token is asked when something is to be signed, and what it signs with must be that key.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use updraft_crypto::helper::Channel;
use updraft_crypto::{KeyHelper, SigningKey};
use updraft_process::Partner;
use updraft_tuf::{Dialect, KeyId, PublicKey, Sign, SigningFailed};

use crate::Error;

/// How long a token may take to sign: one with a keypad waits for somebody.
const PATIENCE: Duration = Duration::from_mins(1);
const FORMAT: &str = "updraft-token-key";
const VERSION: u64 = 1;

/// A private key of a [`crate::KeyStore`].
#[derive(Debug)]
pub enum PrivateKey {
    /// In a file.
    File(SigningKey),
    /// In a token.
    Token(TokenKey),
}

impl PrivateKey {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::File(key) => key.public(),
            Self::Token(key) => &key.public,
        }
    }

    /// The key id that files of this dialect use.
    #[must_use]
    pub fn key_id(&self, dialect: Dialect) -> KeyId {
        self.public().key_id(dialect)
    }

    /// The key itself, when it is not in a token, which gives none away.
    #[must_use]
    pub fn in_file(&self) -> Option<&SigningKey> {
        match self {
            Self::File(key) => Some(key),
            Self::Token(_) => None,
        }
    }

    /// Why the last signature failed. [`SigningFailed`] has no room for it, and asking the token
    /// once more could use up the tries of a wrong PIN.
    #[must_use]
    pub fn take_trouble(&self) -> Option<updraft_crypto::Error> {
        match self {
            Self::File(_) => None,
            Self::Token(key) => key.trouble.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

impl From<SigningKey> for PrivateKey {
    fn from(key: SigningKey) -> Self {
        Self::File(key)
    }
}

impl Sign for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match self {
            Self::File(key) => key.sign(message),
            Self::Token(key) => key.sign(message).map_err(|error| {
                *key.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                SigningFailed { key_id: key.public.key_id(Dialect::Tuf) }
            }),
        }
    }
}

/// A key in a token.
#[derive(Debug)]
pub struct TokenKey {
    uri: String,
    helper_program: PathBuf,
    public: PublicKey,
    helper: Arc<KeyHelper>,
    trouble: Mutex<Option<updraft_crypto::Error>>,
}

impl TokenKey {
    /// Asks the token for the key that the URI (RFC 7512) means; `helper` is the program that loads
    /// its module.
    ///
    /// # Errors
    /// [`Error::Crypto`]: no helper, module, token or key, or a wrong PIN.
    pub fn find(uri: &str, helper: &Path) -> Result<Self, Error> {
        let program = key_helper(helper);
        let public = program.key(uri)?.public().clone();
        Ok(Self {
            uri: uri.to_owned(),
            helper_program: helper.to_owned(),
            public,
            helper: program,
            trouble: Mutex::default(),
        })
    }

    /// Whether a JSON file says where a key in a token is.
    #[must_use]
    pub fn is_reference(value: &Value) -> bool {
        value.get("format").and_then(Value::as_str) == Some(FORMAT)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Reads where a key in a token is. The token is not asked yet.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Format`].
    pub fn from_json(value: &Value) -> Result<Self, Error> {
        let malformed = |what: &str| Error::Invalid(format!("read a key in a token: {what}"));
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let version = value.get("version").and_then(Value::as_u64);
        if !Self::is_reference(value) || version != Some(VERSION) {
            return Err(malformed("the file is no reference to one"));
        }
        let uri = text("uri").ok_or_else(|| malformed("no `uri`"))?;
        let helper = text("helper").ok_or_else(|| malformed("no `helper`"))?;
        let key = value.get("key").unwrap_or(&Value::Null);
        let public = PublicKey::from_json(key).map_err(Error::format("a key in a token"))?;
        let public = public.ok_or_else(|| malformed("its type is unknown"))?;
        let helper_program = PathBuf::from(helper);
        let program = key_helper(&helper_program);
        let uri = uri.to_owned();
        Ok(Self { uri, helper_program, public, helper: program, trouble: Mutex::default() })
    }

    /// Where the key is. The URI may hold a PIN: show it to nobody.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "format": FORMAT,
            "version": VERSION,
            "uri": self.uri,
            "helper": self.helper_program.display().to_string(),
            "key": self.public.to_json(Dialect::Uptane),
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, updraft_crypto::Error> {
        let key = self.helper.key(&self.uri)?;
        if *key.public() != self.public {
            return Err(updraft_crypto::Error::Token {
                operation: "sign with the key in the token".to_owned(),
                problem: "it has another key of this name than when it was added".to_owned(),
                kind: updraft_error::Kind::Rejected,
            });
        }
        key.sign_with(updraft_crypto::Scheme::of_metadata(self.public.key_type()), message)
    }
}

/// The program that loads modules of tokens; it is started when it is needed first.
#[must_use]
pub fn key_helper(program: &Path) -> Arc<KeyHelper> {
    let program = program.to_owned();
    KeyHelper::new(move || Ok(Box::new(Partner::start(&program, PATIENCE)?) as Box<dyn Channel>))
}
