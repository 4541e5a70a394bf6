//! Sessions of browsers: beginning one by a password or a token, recognising it, ending it.
//!
//! The id of a session is 32 random bytes, of which only the hash is kept. Its CSRF token is an
//! HMAC under the id, so that it need not be kept, and knowing it does not give the id.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use updraft_api::{Login, OpenSession, PasswordChange, Scope, Session};

use super::operators::{self, Operator};
use super::{Fleet, one_time, passwords};
use crate::error::{Error, Result};
use crate::storage::sessions::{self, Begun, SessionRecord};
use crate::storage::sql;
use crate::storage::users::{self, UserRecord};

/// The most sessions that one account or token has; older ones end.
const MAX_SESSIONS: u32 = 50;
/// How exactly it is kept when a session was last used, so that not each request writes.
const TOUCH_SEC: i64 = 60;

/// The id of a session, as the cookie carries it in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// Reads what a cookie has.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 32];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }

    /// What a cookie has.
    pub fn text(&self) -> String {
        hex::encode(self.0)
    }

    /// Under what it is kept.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// What requests that change something show beside the cookie.
    pub fn csrf_token(&self) -> String {
        updraft_crypto::hmac_sha256_hex(&self.0, b"csrf")
    }

    /// Whether this is that; how long that takes tells nothing about it.
    pub fn is_csrf_token(&self, token: &str) -> bool {
        updraft_crypto::is_hmac_sha256(&self.0, b"csrf", token)
    }
}

impl Fleet {
    /// Begins a session. Checks a password, so it takes a while.
    pub fn log_in(&self, login: &Login, from: IpAddr) -> Result<(SessionId, Session)> {
        match login {
            Login { user: Some(user), password: Some(password), token: None, one_time_code } => {
                self.log_in_by_password((user, password, one_time_code.as_deref()), from)
            }
            Login { user: None, password: None, one_time_code: None, token: Some(token) } => {
                self.log_in_by_token(token, from)
            }
            _ => Err(Error::invalid("the login", "it has `user` and `password`, or `token`")),
        }
    }

    fn log_in_by_password(
        &self,
        (name, password, code): (&str, &str, Option<&str>),
        from: IpAddr,
    ) -> Result<(SessionId, Session)> {
        let now = self.now();
        // What cannot be a name is not worth remembering.
        let name = crate::names::name("user name", name).map_err(|_| wrong())?;
        self.may_guess(Some(name), from, now)?;
        let user = self.database.read("find a user", |reader| users::find(reader, name))?;
        let hash = user.as_ref().map(|user| user.password.as_str());
        let is_right = passwords::is_right(hash, password);
        let Some(user) = user.filter(|user| is_right && user.disabled_at.is_none()) else {
            return Err(self.guessed(Some(name), from, now, wrong()));
        };
        if user.totp_secret.is_some() && code.is_none() {
            return Err(Error::Login {
                code: "one_time_code_needed",
                reason: "the account asks for a one-time code",
            });
        }
        let id = self.session_id()?;
        let begun = self.database.write("log in", |tx| {
            let current = users::require(tx, name)?;
            if current.password != user.password || current.disabled_at.is_some() {
                return Err(wrong());
            }
            take_code(tx, &current, code, now)?;
            let begun = Begun::User(name.to_owned());
            sessions::insert(tx, &id.hash(), &begun, now)?;
            self.prune_sessions(tx, &begun, now)
        });
        match begun {
            Ok(()) => self.guessed_right(name, from, now)?,
            Err(error @ Error::Login { .. }) => {
                return Err(self.guessed(Some(name), from, now, error));
            }
            Err(error) => return Err(error),
        }
        let operator = Operator::of_user(&user, "password".to_owned())?;
        let session = self.session(&operator, &id, now, now);
        Ok((id, session))
    }

    fn log_in_by_token(&self, token: &str, from: IpAddr) -> Result<(SessionId, Session)> {
        let now = self.now();
        self.may_guess(None, from, now)?;
        let operator = self.owner_of(token).map_err(|error| match error {
            Error::Unauthenticated { .. } => self.guessed(None, from, now, wrong()),
            other => other,
        })?;
        let id = self.session_id()?;
        self.database.write("log in", |tx| {
            let begun = Begun::Token(operators::hash(token));
            sessions::insert(tx, &id.hash(), &begun, now)?;
            self.prune_sessions(tx, &begun, now)
        })?;
        let session = self.session(&operator, &id, now, now);
        Ok((id, session))
    }

    /// Recognises a session that is good, and notes that it is used.
    pub fn recognise_session(&self, id: &SessionId) -> Result<(Operator, Session)> {
        let ended = || Error::Unauthenticated { reason: "the session has ended".to_owned() };
        let now = self.now();
        let (record, user) = self.database.read("find a session", |reader| {
            let record = sessions::find(reader, &id.hash())?;
            let user = match &record {
                Some(SessionRecord { begun: Begun::User(name), .. }) => users::find(reader, name)?,
                _ => None,
            };
            Ok((record, user))
        })?;
        let record = record.ok_or_else(ended)?;
        let absolute = self.end_of(record.created_at);
        if record.used_at < self.idle_since(now) || absolute <= now {
            return Err(ended());
        }
        let operator = match (&record.begun, user) {
            (Begun::User(_), Some(user)) => Operator::of_user(&user, "session".to_owned())?,
            (Begun::User(_), None) => return Err(ended()),
            (Begun::Token(hash), _) => self.owner_of_hash(hash)?,
        };
        let mut used_at = record.used_at;
        if now.duration_since(used_at) >= SignedDuration::from_secs(TOUCH_SEC) {
            self.database
                .write("go on with a session", |tx| sessions::touch(tx, &id.hash(), now))?;
            used_at = now;
        }
        let session = self.session(&operator, id, record.created_at, used_at);
        Ok((operator, session))
    }

    /// Changes a password. Guessing at the one until now is slowed down like any other guessing.
    pub fn change_password(
        &self,
        operator: Operator,
        name: &str,
        change: &PasswordChange,
        (session, from): (Option<&SessionId>, IpAddr),
    ) -> Result<()> {
        let now = self.now();
        let guessed = operator.name.clone();
        self.may_guess(Some(&guessed), from, now)?;
        let session = session.map(SessionId::hash);
        let current = change.current.as_deref();
        let users = self.users(operator);
        users.set_password(name, current, &change.new, session.as_ref()).map_err(
            |error| match error {
                Error::Rejected { code: "wrong_password", .. } => {
                    self.guessed(Some(&guessed), from, now, error)
                }
                other => other,
            },
        )
    }

    /// The sessions of an account that are good, the newest first: one's own, or anybody's with the
    /// scope `users`. `current`: in which one the operator is.
    pub fn sessions_of(
        &self,
        operator: &Operator,
        name: &str,
        current: Option<&SessionId>,
    ) -> Result<Vec<OpenSession>> {
        if !operator.is_user(name) {
            operator.require(Scope::Users)?;
        }
        let now = self.now();
        let found = self.database.read("list sessions", |reader| {
            users::require(reader, name)?;
            sessions::of_user(reader, name, self.idle_since(now))
        })?;
        let current = current.map(SessionId::hash);
        let good = found.into_iter().filter(|(_, record)| self.end_of(record.created_at) > now);
        Ok(good
            .map(|(hash, record)| OpenSession {
                id: hex::encode(hash),
                created_at: record.created_at,
                used_at: record.used_at,
                current: current == Some(hash),
            })
            .collect())
    }

    /// Ends a session of an account: one's own, or one of somebody whom the operator may change.
    pub fn end_session(&self, operator: Operator, name: &str, id: &str) -> Result<()> {
        let unknown = || Error::not_found("session", id.chars().take(64).collect::<String>());
        let mut hash = [0; 32];
        hex::decode_to_slice(id, &mut hash).map_err(|_| unknown())?;
        let is_own = operator.is_user(name);
        let users = self.users(operator);
        self.database.write("end a session", |tx| {
            if !is_own {
                users.manage(tx, name)?;
            }
            if sessions::delete_one(tx, name, &hash)? { Ok(()) } else { Err(unknown()) }
        })
    }

    /// Ends a session.
    pub fn log_out(&self, id: &SessionId) -> Result<()> {
        self.database.write("log out", |tx| sessions::delete(tx, &id.hash()))
    }

    pub(super) fn session_id(&self) -> Result<SessionId> {
        let mut id = [0; 32];
        self.environment.random.fill(&mut id).map_err(Error::random)?;
        Ok(SessionId(id))
    }

    /// Ends what an account or token has of sessions beyond what it may have.
    pub(super) fn prune_sessions(
        &self,
        tx: &sql::Transaction<'_>,
        begun: &Begun,
        now: Timestamp,
    ) -> Result<()> {
        sessions::prune(tx, begun, MAX_SESSIONS, self.idle_since(now))
    }

    pub(super) fn session(
        &self,
        operator: &Operator,
        id: &SessionId,
        created_at: Timestamp,
        used_at: Timestamp,
    ) -> Session {
        let idle = SignedDuration::from_mins(i64::from(self.config.operators.idle_minutes));
        let idle_end = used_at.checked_add(idle).unwrap_or(Timestamp::MAX);
        Session {
            name: operator.name.clone(),
            kind: operator.kind,
            scopes: operator.all_scopes(),
            csrf_token: id.csrf_token(),
            expires_at: idle_end.min(self.end_of(created_at)),
        }
    }

    fn end_of(&self, created_at: Timestamp) -> Timestamp {
        let longest = SignedDuration::from_hours(i64::from(self.config.operators.session_hours));
        created_at.checked_add(longest).unwrap_or(Timestamp::MAX)
    }

    fn idle_since(&self, now: Timestamp) -> Timestamp {
        let idle = SignedDuration::from_mins(i64::from(self.config.operators.idle_minutes));
        now.checked_sub(idle).unwrap_or(Timestamp::MIN)
    }
}

/// Takes the one-time or recovery code that an account asks for.
fn take_code(
    tx: &sql::Transaction<'_>,
    user: &UserRecord,
    code: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let Some(secret) = &user.totp_secret else { return Ok(()) };
    let code = code.unwrap_or_default().trim();
    let taken = match one_time::step_of(secret, code, now) {
        Some(step) => users::take_totp_step(tx, &user.name, step)?,
        None => users::take_recovery_code(tx, &user.name, &one_time::recovery_hash(code))?,
    };
    if taken { Ok(()) } else { Err(wrong()) }
}

/// One answer for all that is wrong, so that nobody learns which accounts there are.
fn wrong() -> Error {
    Error::Login { code: "wrong_credentials", reason: "user, password, code or token is wrong" }
}
