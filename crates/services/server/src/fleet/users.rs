//! Operators who are people: their accounts, passwords, roles and one-time codes.
//!
//! Nobody makes or changes an account that may do more than themselves. The command line, which
//! has the data folder, may do everything.

use updraft_api::{
    EventKind, NewUser, OneTimeSecret, OperatorKind, Page, RecoveryCodes, Role, Scope, User,
    UserUpdate,
};

use super::operators::Operator;
use super::{Fleet, one_time, passwords};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::Transaction;
use crate::storage::users::{self, UserRecord};
use crate::storage::{Database, sessions, values};

/// The accounts, and who works on them.
#[derive(Debug)]
pub struct Users<'a> {
    /// Where they are.
    pub database: &'a Database,
    /// Time and randomness.
    pub environment: &'a Environment,
    /// Who works on them.
    pub operator: Operator,
}

impl Fleet {
    /// The accounts, for this operator to work on.
    pub fn users(&self, operator: Operator) -> Users<'_> {
        Users { database: &self.database, environment: &self.environment, operator }
    }
}

impl Operator {
    /// The owner of an account, as long as it is good.
    pub(super) fn of_user(user: &UserRecord, credential: String) -> Result<Self> {
        if user.disabled_at.is_some() {
            return Err(Error::Unauthenticated { reason: "the user is disabled".to_owned() });
        }
        Ok(Self {
            name: user.name.clone(),
            kind: OperatorKind::User,
            scopes: scopes_of(&user.roles),
            role: None,
            credential,
        })
    }

    pub(super) fn is_user(&self, name: &str) -> bool {
        self.kind == OperatorKind::User && self.name == name
    }
}

/// All scopes of some roles.
fn scopes_of(roles: &[Role]) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = roles.iter().flat_map(|role| role.scopes()).copied().collect();
    scopes.push(Scope::Read);
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

impl Users<'_> {
    /// Makes an account. Hashes a password, so it takes a while.
    pub fn add(&self, new: &NewUser) -> Result<User> {
        names::name("user name", &new.name)?;
        check_roles(&new.roles)?;
        self.operator.require(Scope::Users)?;
        self.operator.require_all(&scopes_of(&new.roles))?;
        let password = passwords::hash(self.environment, &new.password)?;
        let now = self.environment.now();
        self.database.write("make a user", |tx| {
            users::insert(tx, &new.name, (&password, &new.roles), now)?;
            self.tell(tx, format!("user {} was made as {}", new.name, list(&new.roles)))?;
            users::require(tx, &new.name).map(shown)
        })
    }

    /// One page of the accounts.
    pub fn list(&self, after: &str, limit: u32) -> Result<Page<User>> {
        let records =
            self.database.read("list users", |reader| users::list(reader, after, limit))?;
        let items = records.into_iter().map(shown).collect();
        Ok(values::page(items, limit, |user: &User| user.name.clone()))
    }

    /// One account.
    pub fn show(&self, name: &str) -> Result<User> {
        if !self.operator.is_user(name) {
            self.operator.require(Scope::Users)?;
        }
        self.database.read("read a user", |reader| users::require(reader, name)).map(shown)
    }

    /// Changes roles, or disables an account or lets it be used again. Sessions of a disabled
    /// account end.
    pub fn update(&self, name: &str, update: &UserUpdate) -> Result<User> {
        let now = self.environment.now();
        self.database.write("change a user", |tx| {
            let user = self.manage(tx, name)?;
            if let Some(roles) = &update.roles {
                check_roles(roles)?;
                self.operator.require_all(&scopes_of(roles))?;
                if *roles != user.roles {
                    users::set_roles(tx, name, roles)?;
                    let (before, after) = (list(&user.roles), list(roles));
                    self.tell(tx, format!("user {name} was {before} and is now {after}"))?;
                }
            }
            match (update.disabled, user.disabled_at) {
                (Some(true), None) => {
                    users::set_disabled(tx, name, Some(now))?;
                    sessions::delete_of_user(tx, name, None)?;
                    self.tell(tx, format!("user {name} was disabled"))?;
                }
                (Some(false), Some(_)) => {
                    users::set_disabled(tx, name, None)?;
                    self.tell(tx, format!("user {name} may be used again"))?;
                }
                _ => {}
            }
            users::require(tx, name).map(shown)
        })
    }

    /// Deletes an account with its sessions and tokens.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.database.write("delete a user", |tx| {
            self.manage(tx, name)?;
            users::delete(tx, name)?;
            self.tell(tx, format!("user {name} was deleted"))
        })
    }

    /// Changes a password, which ends all sessions of the account but `session`, the one in which
    /// that is done. Hashes passwords, so it takes a while.
    pub fn set_password(
        &self,
        name: &str,
        current: Option<&str>,
        new: &str,
        session: Option<&[u8; 32]>,
    ) -> Result<()> {
        let before = self.database.read("read a user", |reader| users::require(reader, name));
        let own = self.operator.is_user(name);
        if own {
            let right = before.as_ref().ok().map(|user| user.password.as_str());
            if !passwords::is_right(right, current.unwrap_or_default()) {
                return Err(Error::Rejected {
                    code: "wrong_password",
                    what: "the password",
                    reason: "it is not the one until now".to_owned(),
                });
            }
        } else {
            self.operator.require(Scope::Users)?;
        }
        let before = before?;
        let hash = passwords::hash(self.environment, new)?;
        self.database.write("change a password", |tx| {
            let user = if own { users::require(tx, name)? } else { self.manage(tx, name)? };
            if own && user.password != before.password {
                return Err(changed_meanwhile(name));
            }
            users::set_password(tx, name, &hash)?;
            sessions::delete_of_user(tx, name, session)?;
            self.tell(tx, format!("the password of user {name} was changed"))
        })
    }

    /// Makes what one-time codes will be made of, once [`confirm_one_time`](Self::confirm_one_time)
    /// has seen one.
    pub fn begin_one_time(&self, name: &str) -> Result<OneTimeSecret> {
        self.own_or_local(name)?;
        let secret = one_time::secret(self.environment)?;
        self.database.write("begin one-time codes", |tx| {
            users::require(tx, name)?;
            users::set_next_totp(tx, name, &secret)
        })?;
        let (secret, uri) = (one_time::base32(&secret), one_time::uri(name, &secret));
        Ok(OneTimeSecret { secret, uri })
    }

    /// From now on the account asks for a one-time code; gives the codes that replace one.
    pub fn confirm_one_time(&self, name: &str, code: &str) -> Result<RecoveryCodes> {
        self.own_or_local(name)?;
        let codes = one_time::recovery_codes(self.environment)?;
        let hashes: Vec<[u8; 32]> =
            codes.iter().map(|code| one_time::recovery_hash(code)).collect();
        let now = self.environment.now();
        self.database.write("confirm one-time codes", |tx| {
            let user = users::require(tx, name)?;
            let next = user.totp_next.ok_or_else(|| Error::Conflict {
                code: "one_time_codes_not_begun",
                action: format!("confirm one-time codes of user {name}"),
                reason: "no secret was made".to_owned(),
            })?;
            let step = one_time::step_of(&next, code.trim(), now).ok_or(Error::Rejected {
                code: "wrong_one_time_code",
                what: "the code",
                reason: "it is not the one of now; are the clocks right?".to_owned(),
            })?;
            users::set_totp(tx, name, Some((&next, step)), &hashes)?;
            self.tell(tx, format!("user {name} is asked for one-time codes"))
        })?;
        Ok(RecoveryCodes { codes })
    }

    /// The account asks for no one-time code any more.
    pub fn remove_one_time(&self, name: &str) -> Result<()> {
        self.database.write("remove one-time codes", |tx| {
            if self.operator.is_user(name) {
                users::require(tx, name)?;
            } else {
                self.manage(tx, name)?;
            }
            users::set_totp(tx, name, None, &[])?;
            self.tell(tx, format!("user {name} is asked for one-time codes no more"))
        })
    }

    /// The account, when the operator may manage it.
    pub(super) fn manage(&self, tx: &Transaction<'_>, name: &str) -> Result<UserRecord> {
        self.operator.require(Scope::Users)?;
        let user = users::require(tx, name)?;
        self.operator.require_all(&scopes_of(&user.roles))?;
        Ok(user)
    }

    fn own_or_local(&self, name: &str) -> Result<()> {
        if self.operator.is_user(name) || self.operator == Operator::local() {
            return Ok(());
        }
        Err(Error::Rejected {
            code: "not_your_account",
            what: "the request",
            reason: "whoever has the app with the codes does this".to_owned(),
        })
    }

    fn tell(&self, tx: &Transaction<'_>, message: String) -> Result<()> {
        let actor = self.operator.actor();
        let event = NewEvent::new(EventKind::UserChanged, &actor, message);
        events::append(tx, self.environment.now(), &event)
    }
}

fn changed_meanwhile(name: &str) -> Error {
    Error::Conflict {
        code: "user_changed",
        action: format!("change the password of user {name}"),
        reason: "somebody else changed it meanwhile".to_owned(),
    }
}

fn check_roles(roles: &[Role]) -> Result<()> {
    if roles.is_empty() || roles.len() > Role::ALL.len() {
        return Err(Error::invalid("the user", "it needs a role, and each only once"));
    }
    Ok(())
}

fn list(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    names.join(", ")
}

fn shown(user: UserRecord) -> User {
    User {
        name: user.name,
        roles: user.roles,
        one_time_codes: user.totp_secret.is_some(),
        recovery_codes: user.recovery_codes,
        created_at: user.created_at,
        disabled_at: user.disabled_at,
    }
}
