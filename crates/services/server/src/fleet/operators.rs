//! Operators: tokens, and who a token belongs to.

use base64::Engine as _;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use updraft_api::{EventKind, Scope};

use super::Fleet;
use super::provision::PeerCertificate;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::Database;
use crate::storage::events::{self, NewEvent};
use crate::storage::tokens::{self, TokenRecord};

/// What every token begins with, so that people and leak scanners recognise it.
const PREFIX: &str = "updraft_";

/// Somebody with a good token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The token's name.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// The delegated role for which alone it may publish.
    pub role: Option<String>,
}

impl Operator {
    /// The server itself, when it does by itself what operators may ask for.
    pub(super) fn itself() -> Self {
        Self { name: String::new(), scope: Scope::Admin, role: None }
    }

    /// The name in events.
    pub fn actor(&self) -> String {
        // No token is without a name.
        if self.name.is_empty() { "server".to_owned() } else { format!("token:{}", self.name) }
    }

    /// Refuses what the token does not allow.
    pub fn require(&self, needed: Scope) -> Result<()> {
        if self.role.is_some() && needed != Scope::Read {
            return Err(self.limited("do this"));
        }
        if self.scope.allows(needed) {
            return Ok(());
        }
        Err(Error::Rejected {
            code: "insufficient_scope",
            what: "the token",
            reason: format!(
                "this needs the scope {needed}, and token {} has {}",
                self.name, self.scope
            ),
        })
    }
}

/// What a new token is to be like.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// What it allows.
    pub scope: Scope,
    /// The delegated role to which it is limited, with the scope `publish`.
    pub role: Option<String>,
    /// Days that it is good for; none for ever.
    pub days: Option<u16>,
}

/// Makes a token and gives it; it is stored as a hash only and never shown again.
pub fn create_token(
    database: &Database,
    environment: &Environment,
    name: &str,
    options: TokenOptions,
) -> Result<String> {
    let token = format!("{PREFIX}{}", environment.secret().map_err(Error::random)?);
    add(database, environment, name, &hash(&token), options)?;
    Ok(token)
}

/// All tokens, by name.
pub fn list_tokens(database: &Database) -> Result<Vec<TokenRecord>> {
    database.read("list tokens", tokens::list)
}

/// Revokes a token; from then on it is refused.
pub fn revoke_token(database: &Database, environment: &Environment, name: &str) -> Result<()> {
    let now = environment.now();
    database.write("revoke a token", |tx| {
        if !tokens::revoke(tx, name, now)? {
            return Err(Error::not_found("token", name));
        }
        let message = format!("token {name} was revoked");
        events::append(tx, now, &NewEvent::new(EventKind::TokenRevoked, "server", message))
    })
}

impl Fleet {
    /// Recognises the owner of a token by the value of `Authorization`: `Bearer TOKEN`, or
    /// `Basic` with the token as password, for tools that know nothing else.
    pub fn recognise_operator(&self, authorization: Option<&str>) -> Result<Operator> {
        let value = authorization.ok_or_else(|| unauthenticated("no token was sent"))?;
        let token = token_of(value)?;
        self.owner_of(&token)
    }

    /// The owner of a token.
    pub fn owner_of(&self, token: &str) -> Result<Operator> {
        if !token.starts_with(PREFIX) {
            return Err(unauthenticated("the token is unknown"));
        }
        self.owner_of_hash(&hash(token))
    }

    /// The operator whose certificate this is.
    pub fn recognise_operator_certificate(&self, peer: &PeerCertificate) -> Result<Operator> {
        self.owner_of_hash(&certificate_token(&peer.hash))
    }

    fn owner_of_hash(&self, hash: &[u8; 32]) -> Result<Operator> {
        // The look-up is by hash, so its timing tells nothing about the token.
        let found = self.database.read("find a token", |reader| tokens::find(reader, hash))?;
        match found {
            Some(record) if record.revoked_at.is_some() => {
                Err(unauthenticated("the token was revoked"))
            }
            Some(record) if record.expires_at.is_some_and(|end| end <= self.now()) => {
                Err(unauthenticated("the token has expired"))
            }
            Some(record) => {
                Ok(Operator { name: record.name, scope: record.scope, role: record.role })
            }
            None => Err(unauthenticated("the token is unknown")),
        }
    }
}

fn unauthenticated(reason: &str) -> Error {
    Error::Unauthenticated { reason: reason.to_owned() }
}

/// The token in the value of `Authorization`.
pub fn token_of(authorization: &str) -> Result<String> {
    let (scheme, value) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(value.to_owned());
    }
    let malformed = || unauthenticated("`Authorization` is neither `Bearer TOKEN` nor `Basic`");
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    // Who calls itself what does not matter: the token says who it is.
    let (_, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok(password.to_owned())
}

/// Under which hash an operator's certificate is kept. No token has this hash, for every token
/// begins with its prefix.
fn certificate_token(certificate: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"certificate:");
    hash.update(certificate);
    hash.finalize().into()
}

/// Lets a certificate, by its SHA-256, do what a token of this scope may.
pub fn admit_certificate(
    database: &Database,
    environment: &Environment,
    name: &str,
    certificate: &[u8; 32],
    options: TokenOptions,
) -> Result<()> {
    add(database, environment, name, &certificate_token(certificate), options)
}

fn add(
    database: &Database,
    environment: &Environment,
    name: &str,
    hash: &[u8; 32],
    options: TokenOptions,
) -> Result<()> {
    let TokenOptions { scope, role, days } = options;
    names::name("token name", name)?;
    if let Some(role) = &role {
        super::image::check_role_name(role)?;
        if scope != Scope::Publish {
            let reason = "one that is limited to a role has the scope publish";
            return Err(Error::invalid("the token", reason));
        }
    }
    let now = environment.now();
    let expires = days
        .map(|days| now.checked_add(SignedDuration::from_hours(24 * i64::from(days))))
        .transpose()
        .map_err(|error| Error::invalid("the token's days", error))?;
    database.write("make a token", |tx| {
        tokens::insert(tx, name, hash, (scope, role.as_deref()), now, expires)?;
        let until = expires.map(|time| format!(" until {time:.0}")).unwrap_or_default();
        let limit = role.as_ref().map(|role| format!(" for role {role}")).unwrap_or_default();
        let message = format!("token {name} was made with scope {scope}{limit}{until}");
        events::append(tx, now, &NewEvent::new(EventKind::TokenCreated, "server", message))
    })
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
