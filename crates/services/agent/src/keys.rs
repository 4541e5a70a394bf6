//! Where this device's keys are: in its state, or in a token that a helper talks to.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use updraft_crypto::helper::Channel;
use updraft_crypto::{HelperKey, KeyHelper, SigningKey};
use updraft_process::Partner;
use updraft_tuf::{PublicKey, Sign, SigningFailed};

use crate::config::{KeySource, P11, Settings};
use crate::store::IdentityRecord;
use crate::{Error, Result};

/// How long a token may take to sign. RSA in a TPM takes about a second; one with a keypad waits
/// for somebody.
const PATIENCE: Duration = Duration::from_mins(1);

/// The ECU's key.
#[derive(Debug)]
pub enum EcuKey {
    /// In the agent's state.
    Stored(SigningKey),
    /// In a token.
    Token(HelperKey),
}

impl EcuKey {
    /// The public half.
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::Stored(key) => key.public(),
            Self::Token(key) => key.public(),
        }
    }
}

impl Sign for EcuKey {
    fn public_key(&self) -> &PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match self {
            Self::Stored(key) => key.sign(message),
            Self::Token(key) => Sign::sign(key, message),
        }
    }
}

/// The token that the settings name. Its helper is started when it is needed first.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    settings: Settings,
    helper: Arc<KeyHelper>,
}

impl Token {
    pub(crate) fn new(settings: &Settings) -> Self {
        let program = settings.p11.helper.clone();
        let helper = KeyHelper::new(move || {
            Ok(Box::new(Partner::start(&program, PATIENCE)?) as Box<dyn Channel>)
        });
        Self { settings: settings.clone(), helper }
    }

    /// The ECU's key. `None`: it is not in the token.
    pub(crate) fn ecu_key(&self) -> Result<Option<HelperKey>> {
        let Settings { p11, uptane, .. } = &self.settings;
        self.key(uptane.key_source, &p11.uptane_key_id, "find the ECU's key in its token")
    }

    /// The device's private key for TLS. `None`: it is not in the token.
    pub(crate) fn tls_key(&self) -> Result<Option<HelperKey>> {
        let Settings { p11, tls, .. } = &self.settings;
        self.key(tls.pkey_source, &p11.tls_pkey_id, "find the device's key in its token")
    }

    /// The device's certificate, PEM. `None`: it is not in the token.
    pub(crate) fn certificate(&self) -> Result<Option<String>> {
        let Settings { p11, tls, .. } = &self.settings;
        let what = "read the device's certificate in its token";
        self.certificates(tls.cert_source, &p11.tls_clientcert_id, what)
    }

    /// The server's authority, PEM. `None`: it is not in the token.
    pub(crate) fn authority(&self) -> Result<Option<String>> {
        let Settings { p11, tls, .. } = &self.settings;
        let what = "read the server's CA in the token";
        self.certificates(tls.ca_source, &p11.tls_cacert_id, what)
    }

    fn key(&self, source: KeySource, id: &str, what: &str) -> Result<Option<HelperKey>> {
        if source == KeySource::File {
            return Ok(None);
        }
        let key = self.helper.key(&uri(&self.settings.p11, id, "private"));
        key.map(Some).map_err(Error::below(what))
    }

    fn certificates(&self, source: KeySource, id: &str, what: &str) -> Result<Option<String>> {
        if source == KeySource::File {
            return Ok(None);
        }
        let pem = self.helper.certificates_pem(&uri(&self.settings.p11, id, "cert"));
        pem.map(Some).map_err(Error::below(what))
    }
}

/// The private key of this identity, when that is in the token.
pub(crate) fn token_key(token: &Token, identity: &IdentityRecord) -> Result<Option<HelperKey>> {
    if !identity.private_key_pem.is_empty() {
        return Ok(None);
    }
    token.tls_key()?.map(Some).ok_or_else(|| Error::NotProvisioned {
        problem: "its key was in a token, and `tls.pkey_source` is not `pkcs11` any more"
            .to_owned(),
    })
}

/// The URI of an object of this type. What `id` says itself, when it is a URI, stays.
fn uri(p11: &P11, id: &str, object_type: &str) -> String {
    let mut uri = if id.starts_with("pkcs11:") {
        id.to_owned()
    } else {
        let mut path = String::from("pkcs11:id=");
        for pair in id.as_bytes().chunks(2) {
            path.push('%');
            path.extend(pair.iter().copied().map(char::from));
        }
        let _ = write!(path, ";type={object_type}");
        path
    };
    let mut attribute = |name: &str, value: &str| {
        if !value.is_empty() && !uri.contains(&format!("{name}=")) {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.push_str(name);
            uri.push('=');
            uri.push_str(&escaped(value));
        }
    };
    attribute("module-path", &p11.module.to_string_lossy());
    if !id.contains("pin-source=") {
        attribute("pin-value", &p11.pass);
    }
    uri
}

/// Percent-encoded, but for what never means anything else.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::uri;
    use crate::config::P11;

    #[test]
    fn objects_are_named_by_uris() {
        let p11 = P11 { module: "/lib/m.so".into(), pass: "1&2".to_owned(), ..P11::default() };
        for (id, expected) in [
            ("01fe", "pkcs11:id=%01%fe;type=private?module-path=/lib/m.so&pin-value=1%262"),
            (
                "pkcs11:token=t;object=k?pin-source=/pin",
                "pkcs11:token=t;object=k?pin-source=/pin&module-path=/lib/m.so",
            ),
            (
                "pkcs11:object=k?module-path=/n.so",
                "pkcs11:object=k?module-path=/n.so&pin-value=1%262",
            ),
        ] {
            assert_eq!(uri(&p11, id, "private"), expected);
        }
        let bare = P11 { module: "/m.so".into(), ..P11::default() };
        assert_eq!(uri(&bare, "07", "cert"), "pkcs11:id=%07;type=cert?module-path=/m.so");
    }
}
