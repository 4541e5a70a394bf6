//! Logging in by a provider of identities: the authorization code flow of OpenID Connect Core 1.0,
//! section 3.1, with PKCE (RFC 7636).
//!
//! What a login that has begun needs to go on is kept by the browser alone ([`Begun`]): any server
//! of a fleet can go on with it, and nobody can make this server remember anything.

mod claims;
mod provider;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use updraft_api::{EventKind, Session};

use super::operators::Operator;
use super::sessions::SessionId;
use super::{Fleet, passwords};
use crate::config::OidcConfig;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::Transaction;
use crate::storage::users::{self, UserRecord};
use crate::storage::{identities, sessions};
use claims::Claims;
use provider::Provider;

/// How long a login may take, in seconds.
pub const PATIENCE: i64 = 600;

/// A login that has begun, as the browser keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// What comes back with the browser.
    state: String,
    /// What the provider puts into the token.
    nonce: String,
    /// What only who began can show (RFC 7636, section 4.1).
    verifier: String,
    /// Where the browser comes back to.
    callback: String,
    /// The page to show then.
    pub next: String,
    /// When it began, in seconds since 1970.
    at: i64,
}

impl Begun {
    /// Reads what a cookie has.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// What a cookie has.
    pub fn text(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(|error| Error::Internal {
            action: "begin a login",
            reason: error.to_string(),
        })?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }
}

/// Who somebody is, as the provider says and this server takes it.
#[derive(Debug)]
pub struct Identified {
    issuer: String,
    subject: String,
    /// The name of the account.
    pub name: String,
    roles: Vec<updraft_api::Role>,
}

impl Fleet {
    /// What the login page says of the provider; nothing where there is none.
    pub fn oidc_name(&self) -> Option<&str> {
        self.config.oidc.as_ref().map(|oidc| oidc.name.as_str())
    }

    /// Begins a login: the address to send the browser to, and what it is to keep. `callback`: where
    /// it comes back to; `next`: the path of the page to show then.
    ///
    /// # Errors
    /// When there is no provider, and when it cannot be reached.
    pub fn begin_oidc(&self, callback: &str, next: &str) -> Result<(String, Begun)> {
        let config = self.oidc()?;
        let provider = Provider::discover(&self.layout, config)?;
        let begun = Begun {
            state: self.chance()?,
            nonce: self.chance()?,
            verifier: self.chance()?,
            callback: callback.to_owned(),
            next: page(next),
            at: self.now().as_second(),
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&begun.verifier));
        let mut scope = "openid".to_owned();
        for one in config.scopes.iter().filter(|one| *one != "openid") {
            scope.push(' ');
            scope.push_str(one);
        }
        let address = provider.authorization(&[
            ("response_type", "code"),
            ("client_id", &config.client_id),
            ("redirect_uri", &begun.callback),
            ("scope", &scope),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok((address, begun))
    }

    /// Learns from a provider that has answered who logs in.
    ///
    /// # Errors
    /// [`Error::Login`] and [`Error::Rejected`] when that is nobody to be let in; when the provider
    /// cannot be reached.
    pub fn identify_oidc(
        &self,
        begun: &Begun,
        (state, code): (&str, &str),
        from: IpAddr,
    ) -> Result<Identified> {
        let config = self.oidc()?;
        let now = self.now();
        let age = now.as_second() - begun.at;
        if !updraft_crypto::is_equal(state.as_bytes(), begun.state.as_bytes())
            || !(0..=PATIENCE).contains(&age)
        {
            return Err(Error::Login {
                code: "login_not_begun",
                reason: "it was not begun in this browser, or too long ago: begin anew",
            });
        }
        self.may_guess(None, from, now)?;
        self.identify(config, begun, code, now).map_err(|error| match error {
            Error::Rejected { .. } => self.guessed(None, from, now, error),
            other => other,
        })
    }

    /// Begins a session of somebody whom the provider knows.
    ///
    /// # Errors
    /// [`Error::Login`] where the account is disabled, or another person's.
    pub fn enter_oidc(&self, identified: &Identified) -> Result<(SessionId, Session)> {
        let now = self.now();
        let id = self.session_id()?;
        let user = self.database.write("log in", |tx| {
            let user = account(tx, identified, now)?;
            if user.disabled_at.is_some() {
                return Err(Error::Login { code: "user_disabled", reason: "the user is disabled" });
            }
            let begun = sessions::Begun::User(user.name.clone());
            sessions::insert(tx, &id.hash(), &begun, now)?;
            self.prune_sessions(tx, &begun, now)?;
            Ok(user)
        })?;
        let operator = Operator::of_user(&user, "oidc".to_owned())?;
        let session = self.session(&operator, &id, now, now);
        Ok((id, session))
    }

    fn identify(
        &self,
        config: &OidcConfig,
        begun: &Begun,
        code: &str,
        now: Timestamp,
    ) -> Result<Identified> {
        let provider = Provider::discover(&self.layout, config)?;
        let token = provider.exchange(code, &begun.callback, &begun.verifier)?;
        let claims = Claims::verify(&token, &provider.keys()?, config, (&begun.nonce, now))?;
        let name = claims.text(&config.name_claim).or_else(|| claims.text("email"));
        let name = name.ok_or_else(|| refused(format!("it has no `{}`", config.name_claim)))?;
        names::name("user name", name).map_err(|error| refused(error.to_string()))?;
        let mut roles = config.roles.clone();
        for group in claims.texts(&config.groups_claim) {
            roles.extend(config.groups.get(group).into_iter().flatten().copied());
        }
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            return Err(refused(format!("{name} is in no group that may work here")));
        }
        let (issuer, subject) = (config.issuer.clone(), claims.subject().to_owned());
        Ok(Identified { issuer, subject, name: name.to_owned(), roles })
    }

    fn oidc(&self) -> Result<&OidcConfig> {
        let config = self.config.oidc.as_ref();
        config.ok_or_else(|| Error::not_found("a provider of identities", "in server.toml"))
    }

    /// 32 bytes that nobody can guess, in letters.
    fn chance(&self) -> Result<String> {
        let mut bytes = [0; 32];
        self.environment.random.fill(&mut bytes).map_err(Error::random)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The account of somebody, whose roles are those that the provider says; made when it is new.
fn account(tx: &Transaction<'_>, who: &Identified, now: Timestamp) -> Result<UserRecord> {
    let actor = format!("user:{}", who.name);
    let tell = |message: String| {
        events::append(tx, now, &NewEvent::new(EventKind::UserChanged, &actor, message)).map(drop)
    };
    let Some(name) = identities::find(tx, &who.issuer, &who.subject)? else {
        // Who has a name at the provider does not get what somebody else has here.
        if users::find(tx, &who.name)?.is_some() {
            return Err(Error::Login {
                code: "user_exists",
                reason: "an account of this name is another person's; an administrator can delete it",
            });
        }
        users::insert(tx, &who.name, (passwords::NOBODYS, &who.roles), now)?;
        identities::insert(tx, (&who.issuer, &who.subject), &who.name)?;
        tell(format!("user {} was made: {} knows them", who.name, who.issuer))?;
        return users::require(tx, &who.name);
    };
    let user = users::require(tx, &name)?;
    if user.roles != who.roles {
        users::set_roles(tx, &name, &who.roles)?;
        tell(format!("user {name} has other roles, as {} says", who.issuer))?;
    }
    users::require(tx, &name)
}

/// A path on this server; the first page in the place of anything else.
fn page(next: &str) -> String {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n'])
        && next.is_ascii()
        && next.len() <= 1000;
    if is_own { next.to_owned() } else { "/".to_owned() }
}

fn refused(reason: String) -> Error {
    Error::Rejected { code: "identity_refused", what: "what the provider says", reason }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn only_pages_of_this_server_are_shown_after_a_login() {
        assert_eq!(page("/devices?state=failed"), "/devices?state=failed");
        let long = format!("/{}", "a".repeat(1000));
        for foreign in
            ["", "devices", "//evil.example", "/\\evil.example", "https://x", "/a\nb", &long]
        {
            assert_eq!(page(foreign), "/", "{foreign}");
        }
    }
}
