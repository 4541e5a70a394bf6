//! Logging in, as a browser does it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Scope;

/// The header that carries a session's [`csrf_token`](Session::csrf_token) on every request that
/// changes something.
pub const CSRF_HEADER: &str = "X-CSRF-Token";

/// Who wants to log in: `user` and `password`, with `one_time_code` when the account asks for one;
/// or `token`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Six digits of an authenticator app, or a recovery code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_code: Option<String>,
    /// An API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What an operator shows to be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    /// A person with an account.
    User,
    /// The holder of a token that belongs to no account.
    Token,
}

/// A session that is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The account's or the token's name.
    pub name: String,
    /// Which of both.
    pub kind: OperatorKind,
    /// All that the session allows; `admin` stands beside what it implies.
    pub scopes: Vec<Scope>,
    /// What the header `X-CSRF-Token` must have on requests that change something.
    pub csrf_token: String,
    /// When it ends, unless it is used before.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// How one can log in, beside an account's password and a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginWays {
    /// What the provider of identities is called; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
}

/// A session of an account, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenSession {
    /// What it is ended by. It does not let anybody use the session.
    pub id: String,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was used last, give or take a minute.
    #[schema(value_type = String, format = DateTime)]
    pub used_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}
