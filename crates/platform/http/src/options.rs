//! What a client is made of.

use std::sync::Arc;
use std::time::Duration;

use crate::Cookie;

/// The certificate store of Debian and most other systems.
pub const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How a [`Client`](crate::Client) behaves.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// PEM certificates of the authorities to trust, instead of the system's
    /// (`/etc/ssl/certs/ca-certificates.crt`).
    pub ca_pem: Option<Vec<u8>>,
    /// Whether any certificate of a server is good. What comes must be verified otherwise, then.
    pub any_certificate: bool,
    /// Who we are, for servers that ask for a client certificate.
    pub identity: Option<Identity>,
    /// The same when the key is where nobody can read it; it goes before `identity`.
    pub token_identity: Option<TokenIdentity>,
    /// Sent as `Authorization: Bearer …` with every request.
    pub bearer_token: Option<String>,
    /// Sent with every request: (name, value).
    pub headers: Vec<(String, String)>,
    /// Sent with the requests they belong to.
    pub cookies: Vec<Cookie>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// How many redirects what only reads may follow; with 0 a redirect is an answer like any other.
    pub max_redirects: u32,
    /// The proxy's address, such as `http://proxy:3128`.
    pub proxy: Option<String>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When a transfer is too slow to go on.
    pub low_speed: LowSpeed,
    /// The most bytes of bodies a second, all connections of a client together. 0: any.
    pub max_bytes_per_second: u64,
    /// How often a request is repeated after failures that may pass. A transfer that makes
    /// progress in between starts counting anew.
    pub retries: u32,
    /// The pause before the first repetition; it doubles each time, with jitter.
    pub retry_pause: Duration,
    /// Connections kept open while nobody uses them.
    pub idle_connections: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            ca_pem: None,
            any_certificate: false,
            identity: None,
            token_identity: None,
            bearer_token: None,
            headers: Vec::new(),
            cookies: Vec::new(),
            user_agent: concat!("updraft/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_redirects: 10,
            proxy: None,
            timeouts: Timeouts::default(),
            low_speed: LowSpeed::default(),
            max_bytes_per_second: 0,
            retries: 5,
            retry_pause: Duration::from_millis(200),
            idle_connections: 32,
        }
    }
}

/// A client certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and its intermediates, PEM.
    pub certificate_pem: Vec<u8>,
    /// The private key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub private_key_pem: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity { .. }")
    }
}

/// A client certificate whose key signs elsewhere: in a token.
#[derive(Clone)]
pub struct TokenIdentity {
    /// The certificate and its intermediates, PEM.
    pub certificate_pem: Vec<u8>,
    /// Signs handshakes.
    pub key: Arc<dyn rustls::sign::SigningKey>,
}

impl std::fmt::Debug for TokenIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenIdentity { .. }")
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the head of the response, after the request was sent.
    pub response: Duration,
    /// For the next bytes of a body.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            response: Duration::from_mins(1),
            read: Duration::from_secs(30),
        }
    }
}

/// A transfer below this is given up, and resumed as after a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowSpeed {
    /// Bytes a second; 0 allows any speed.
    pub bytes_per_second: u64,
    /// For how long it has to be slower.
    pub time: Duration,
}

impl Default for LowSpeed {
    fn default() -> Self {
        Self { bytes_per_second: 1000, time: Duration::from_secs(30) }
    }
}
