//! What operators may do: scopes, and the tokens that carry them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operator may do. Each scope but `admin` stands alone; every operator may read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See everything that `/api/v1` shows.
    Read,
    /// Upload objects, files and signed metadata; make releases.
    Publish,
    /// Change devices' groups; create and steer rollouts.
    Operate,
    /// Approve a rollout that waits for a second person.
    Approve,
    /// Read the audit log.
    Audit,
    /// Make, change and delete users.
    Users,
    /// Everything, deleting devices and replacing the root included.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Publish,
        Self::Operate,
        Self::Approve,
        Self::Audit,
        Self::Users,
        Self::Admin,
    ];

    /// The name on the wire and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Audit => "audit",
            Self::Users => "users",
            Self::Admin => "admin",
        }
    }

    /// Whether who has this scope may do what needs `needed`.
    pub fn allows(self, needed: Self) -> bool {
        self == Self::Admin || needed == Self::Read || self == needed
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or(UnknownScope)
    }
}

/// The name is that of no [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownScope;

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope is one of read, publish, operate, approve, audit, users, admin")
    }
}

impl std::error::Error for UnknownScope {}

/// An API token as it is listed; the token itself is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Its name.
    pub name: String,
    /// The user to whom it belongs; absent for one of the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it allows; for a user's, only as long as the user may do it too.
    pub scopes: Vec<Scope>,
    /// The delegated role for which alone it may publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it stops being good by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// An API token to make for oneself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// What it is to allow; no more than its maker may do.
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// Days that it is good for.
    #[schema(minimum = 1, maximum = 3650)]
    pub days: u16,
}

/// A token that was made. It is not shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// The token.
    pub token: String,
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn the_whole_matrix_of_scopes() {
        let matrix: Vec<String> = Scope::ALL
            .into_iter()
            .map(|has| {
                let allowed: Vec<&str> = Scope::ALL
                    .into_iter()
                    .filter(|needed| has.allows(*needed))
                    .map(Scope::name)
                    .collect();
                format!("{has}: {}", allowed.join(" "))
            })
            .collect();
        assert_eq!(
            matrix,
            [
                "read: read",
                "publish: read publish",
                "operate: read operate",
                "approve: read approve",
                "audit: read audit",
                "users: read users",
                "admin: read publish operate approve audit users admin"
            ]
        );
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
        }
    }
}
