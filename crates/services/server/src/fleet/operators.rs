//! Operators: who is calling and what they may do; tokens.

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use updraft_api::{ApiToken, EventKind, NewApiToken, NewToken, OperatorKind, Scope};

use super::Fleet;
use super::provision::PeerCertificate;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::Database;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::Transaction;
use crate::storage::tokens::{self, Grant, TokenRecord};
use crate::storage::users;

/// What every token begins with, so that people and leak scanners recognise it.
const PREFIX: &str = "updraft_";
/// The most days that a user's token is good for.
const MAX_DAYS: u16 = 3650;

/// Somebody who was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The name of the account, or of the token when it belongs to none.
    pub name: String,
    /// Which of both.
    pub kind: OperatorKind,
    /// What the operator may do.
    pub scopes: Vec<Scope>,
    /// The delegated role for which alone the operator may publish.
    pub role: Option<String>,
    /// By what the operator was recognised, such as `token:ci` or `session`.
    pub credential: String,
}

impl Operator {
    /// The server itself, when it does by itself what operators may ask for.
    pub(super) fn itself() -> Self {
        Self {
            name: String::new(),
            kind: OperatorKind::Token,
            scopes: vec![Scope::Admin],
            role: None,
            credential: "itself".to_owned(),
        }
    }

    /// Whoever may use the data folder itself, on the command line.
    pub fn local() -> Self {
        Self::itself()
    }

    /// The name in events.
    pub fn actor(&self) -> String {
        // Neither account nor token is without a name.
        match self.kind {
            _ if self.name.is_empty() => "server".to_owned(),
            OperatorKind::User => format!("user:{}", self.name),
            OperatorKind::Token => format!("token:{}", self.name),
        }
    }

    /// Whether one of the scopes allows what needs this one.
    pub fn allows(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| scope.allows(needed))
    }

    /// All that the operator may do; `admin` stands beside what it implies.
    pub fn all_scopes(&self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.allows(*scope)).collect()
    }

    /// Refuses to give what the operator does not have: nobody makes somebody who may do more.
    pub fn require_all(&self, given: &[Scope]) -> Result<()> {
        given.iter().try_for_each(|scope| self.require(*scope))
    }

    /// Refuses what the operator may not do.
    pub fn require(&self, needed: Scope) -> Result<()> {
        if self.role.is_some() && needed != Scope::Read {
            return Err(self.limited("do this"));
        }
        if self.allows(needed) {
            return Ok(());
        }
        let (what, kind) = match self.kind {
            OperatorKind::User => ("the user", "user"),
            OperatorKind::Token => ("the token", "token"),
        };
        let has: Vec<&str> = self.scopes.iter().map(|scope| scope.name()).collect();
        Err(Error::Rejected {
            code: "insufficient_scope",
            what,
            reason: format!(
                "this needs the scope {needed}, and {kind} {} has {}",
                self.name,
                has.join(", ")
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
    let owner = Owner { by: "server", user: None, scopes: &[options.scope] };
    add(database, environment, name, &hash(&token), (&owner, options.role, options.days))?;
    Ok(token)
}

/// All tokens, by name.
pub fn list_tokens(database: &Database) -> Result<Vec<TokenRecord>> {
    database.read("list tokens", tokens::list)
}

/// Revokes a token; from then on it is refused.
pub fn revoke_token(database: &Database, environment: &Environment, name: &str) -> Result<()> {
    let now = environment.now();
    database.write("revoke a token", |tx| revoke(tx, now, name, "server"))
}

fn revoke(tx: &Transaction<'_>, now: Timestamp, name: &str, by: &str) -> Result<()> {
    if !tokens::revoke(tx, name, now)? {
        return Err(Error::not_found("token", name));
    }
    let message = format!("token {name} was revoked");
    events::append(tx, now, &NewEvent::new(EventKind::TokenRevoked, by, message))
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

    /// The owner of the token of this hash.
    pub(super) fn owner_of_hash(&self, hash: &[u8; 32]) -> Result<Operator> {
        // The look-up is by hash, so its timing tells nothing about the token.
        let (found, user) = self.database.read("find a token", |reader| {
            let found = tokens::find(reader, hash)?;
            let user = found.as_ref().and_then(|record| record.user.as_deref());
            let user = user.map(|user| users::require(reader, user)).transpose()?;
            Ok((found, user))
        })?;
        match found {
            Some(record) if record.revoked_at.is_some() => {
                Err(unauthenticated("the token was revoked"))
            }
            Some(record) if record.expires_at.is_some_and(|end| end <= self.now()) => {
                Err(unauthenticated("the token has expired"))
            }
            Some(record) => {
                let credential = format!("token:{}", record.name);
                let TokenRecord { name, mut scopes, role, .. } = record;
                let Some(user) = user else {
                    let kind = OperatorKind::Token;
                    return Ok(Operator { name, kind, scopes, role, credential });
                };
                // A token may do what its owner may do now, and no more.
                let owner = Operator::of_user(&user, credential)?;
                scopes.retain(|scope| owner.allows(*scope));
                if scopes.is_empty() {
                    scopes.push(Scope::Read);
                }
                Ok(Operator { scopes, role, ..owner })
            }
            None => Err(unauthenticated("the token is unknown")),
        }
    }
}

fn unauthenticated(reason: &str) -> Error {
    Error::Unauthenticated { reason: reason.to_owned() }
}

impl Fleet {
    /// Makes a token for an operator who is a user.
    pub fn create_own_token(&self, operator: &Operator, new: &NewApiToken) -> Result<NewToken> {
        if operator.kind != OperatorKind::User {
            let reason = "only users have tokens of their own; `updraft-server token create` makes \
                          those of the server";
            return Err(Error::invalid("the token", reason));
        }
        if new.scopes.is_empty() || !(1..=MAX_DAYS).contains(&new.days) {
            let reason = format!("it needs a scope, and days from 1 to {MAX_DAYS}");
            return Err(Error::invalid("the token", reason));
        }
        operator.require_all(&new.scopes)?;
        let token = format!("{PREFIX}{}", self.environment.secret().map_err(Error::random)?);
        let by = operator.actor();
        let owner = Owner { by: &by, user: Some(&operator.name), scopes: &new.scopes };
        let limits = (&owner, operator.role.clone(), Some(new.days));
        add(&self.database, &self.environment, &new.name, &hash(&token), limits)?;
        Ok(NewToken { name: new.name.clone(), token })
    }

    /// The operator's own tokens; all of them for one who manages users.
    pub fn tokens_of(&self, operator: &Operator) -> Result<Vec<ApiToken>> {
        let all = list_tokens(&self.database)?;
        let shown = all.into_iter().filter(|token| may_manage(operator, token));
        Ok(shown.map(TokenRecord::shown).collect())
    }

    /// Revokes a token of the operator's own, or any for one who manages users.
    pub fn revoke_own_token(&self, operator: &Operator, name: &str) -> Result<()> {
        let now = self.now();
        self.database.write("revoke a token", |tx| {
            // Others' tokens are not there for those who may not see them.
            let found = tokens::named(tx, name)?.filter(|token| may_manage(operator, token));
            let token = found.ok_or_else(|| Error::not_found("token", name))?;
            if token.user.as_deref() != Some(operator.name.as_str()) {
                operator.require_all(&token.scopes)?;
            }
            revoke(tx, now, name, &operator.actor())
        })
    }
}

fn may_manage(operator: &Operator, token: &TokenRecord) -> bool {
    let own = operator.kind == OperatorKind::User && token.user.as_ref() == Some(&operator.name);
    own || operator.allows(Scope::Users)
}

impl TokenRecord {
    fn shown(self) -> ApiToken {
        let Self { name, user, scopes, role, created_at, expires_at, revoked_at } = self;
        ApiToken { name, user, scopes, role, created_at, expires_at, revoked_at }
    }
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
    let owner = Owner { by: "server", user: None, scopes: &[options.scope] };
    let hash = certificate_token(certificate);
    add(database, environment, name, &hash, (&owner, options.role, options.days))
}

/// Whose a new token is.
struct Owner<'a> {
    /// Who makes it, as events name them.
    by: &'a str,
    user: Option<&'a str>,
    scopes: &'a [Scope],
}

fn add(
    database: &Database,
    environment: &Environment,
    name: &str,
    hash: &[u8; 32],
    (owner, role, days): (&Owner<'_>, Option<String>, Option<u16>),
) -> Result<()> {
    names::name("token name", name)?;
    if let Some(role) = &role {
        super::image::check_role_name(role)?;
        if owner.scopes != [Scope::Publish] {
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
        let grant = Grant { scopes: owner.scopes, role: role.as_deref(), user: owner.user };
        tokens::insert(tx, name, hash, &grant, now, expires)?;
        let until = expires.map(|time| format!(" until {time:.0}")).unwrap_or_default();
        let limit = role.as_ref().map(|role| format!(" for role {role}")).unwrap_or_default();
        let scopes: Vec<&str> = owner.scopes.iter().map(|scope| scope.name()).collect();
        let scopes = scopes.join(", ");
        let message = format!("token {name} was made with scope {scopes}{limit}{until}");
        events::append(tx, now, &NewEvent::new(EventKind::TokenCreated, owner.by, message))
    })
}

/// Under which hash a token is kept.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
