//! The settings about keys in tokens, and about certificates that end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a key or certificate is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// In the agent's storage.
    #[default]
    File,
    /// In the token that the section `[p11]` names.
    Pkcs11,
}

/// The algorithm of an ECU's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum UptaneKeyType {
    /// Ed25519.
    #[default]
    #[serde(rename = "ED25519")]
    Ed25519,
    /// ECDSA on P-256; servers of the aktualizr world do not know it.
    #[serde(rename = "ECPRIME256V1")]
    EcdsaP256,
    /// RSA with 2048 bits.
    #[serde(rename = "RSA2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "RSA3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "RSA4096")]
    Rsa4096,
}

/// `[p11]`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P11 {
    /// The PKCS#11 module that talks to the token.
    pub module: PathBuf,
    /// The token's PIN. Never shown.
    pub pass: String,
    /// The ECU's key: its id in hexadecimal digits, or a whole `pkcs11:` URI (RFC 7512).
    pub uptane_key_id: String,
    /// The server's CA certificate, in the same way.
    #[serde(alias = "tls_ca_id")]
    pub tls_cacert_id: String,
    /// The device's private key for TLS, in the same way.
    pub tls_pkey_id: String,
    /// The certificate of that key, in the same way.
    pub tls_clientcert_id: String,
    /// The program that loads the module: a path, or a name that is looked for in `PATH`.
    pub helper: PathBuf,
}

impl std::fmt::Debug for P11 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("P11").field("module", &self.module).finish_non_exhaustive()
    }
}

impl Default for P11 {
    fn default() -> Self {
        Self {
            module: PathBuf::new(),
            pass: String::new(),
            uptane_key_id: String::new(),
            tls_cacert_id: String::new(),
            tls_pkey_id: String::new(),
            tls_clientcert_id: String::new(),
            helper: PathBuf::from("updraftd-keys"),
        }
    }
}

/// `[est]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Est {
    /// Where certificates are renewed. Empty: `tls.server` + `/.well-known/est`.
    pub server: String,
    /// A certificate is renewed when less than this share of its life is left, in percent. 0:
    /// never.
    pub renew_percent: u8,
}

impl Default for Est {
    fn default() -> Self {
        Self { server: String::new(), renew_percent: 25 }
    }
}
