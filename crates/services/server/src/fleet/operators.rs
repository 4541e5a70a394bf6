//! Operators: tokens, and who a token belongs to.

use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use updraft_api::{EventKind, Scope};

use super::Fleet;
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
}

impl Operator {
    /// The name in events.
    pub fn actor(&self) -> String {
        format!("token:{}", self.name)
    }

    /// Refuses what the token does not allow.
    pub fn require(&self, needed: Scope) -> Result<()> {
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
#[derive(Debug, Clone, Copy)]
pub struct TokenOptions {
    /// What it allows.
    pub scope: Scope,
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
    let TokenOptions { scope, days } = options;
    names::name("token name", name)?;
    let token = format!("{PREFIX}{}", environment.secret().map_err(Error::random)?);
    let now = environment.now();
    let expires = days
        .map(|days| now.checked_add(SignedDuration::from_hours(24 * i64::from(days))))
        .transpose()
        .map_err(|error| Error::invalid("the token's days", error))?;
    database.write("make a token", |tx| {
        tokens::insert(tx, name, &hash(&token), scope, now, expires)?;
        let until = expires.map(|time| format!(" until {time:.0}")).unwrap_or_default();
        let message = format!("token {name} was made with scope {scope}{until}");
        events::append(tx, now, &NewEvent::new(EventKind::TokenCreated, "server", message))
    })?;
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
    /// Recognises the owner of a token by the value of `Authorization`.
    pub fn recognise_operator(&self, authorization: Option<&str>) -> Result<Operator> {
        let unauthenticated = |reason: &str| Error::Unauthenticated { reason: reason.to_owned() };
        let value = authorization.ok_or_else(|| unauthenticated("no token was sent"))?;
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(unauthenticated("`Authorization` is not `Bearer TOKEN`")),
        };
        // The look-up is by hash, so its timing tells nothing about the token.
        let found =
            self.database.read("find a token", |reader| tokens::find(reader, &hash(token)))?;
        match found {
            Some(record) if record.revoked_at.is_some() => {
                Err(unauthenticated("the token was revoked"))
            }
            Some(record) if record.expires_at.is_some_and(|end| end <= self.now()) => {
                Err(unauthenticated("the token has expired"))
            }
            Some(record) => Ok(Operator { name: record.name, scope: record.scope }),
            None => Err(unauthenticated("the token is unknown")),
        }
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
