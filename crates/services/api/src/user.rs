//! Operators who are people: accounts, roles, one-time codes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Scope;

/// A named set of scopes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but the audit log.
    Viewer,
    /// Uploads and makes releases.
    Publisher,
    /// Steers groups and rollouts.
    Operator,
    /// Reads the audit log.
    Auditor,
    /// Does everything.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Publisher, Self::Operator, Self::Auditor, Self::Admin];

    /// The name on the wire and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Publisher => "publisher",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// What who has this role may do.
    pub fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Viewer => &[Scope::Read],
            Self::Publisher => &[Scope::Read, Scope::Publish],
            Self::Operator => &[Scope::Read, Scope::Operate, Scope::Approve],
            Self::Auditor => &[Scope::Read, Scope::Audit],
            Self::Admin => &[Scope::Admin],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// The name is that of no [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role is one of viewer, publisher, operator, auditor, admin")
    }
}

impl std::error::Error for UnknownRole {}

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// What the person may do, as roles.
    pub roles: Vec<Role>,
    /// Whether a one-time code is asked for beside the password.
    pub one_time_codes: bool,
    /// How many recovery codes are left.
    pub recovery_codes: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was disabled; absent while it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
}

/// An account to make.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// 12 to 1024 bytes.
    #[schema(min_length = 12, max_length = 1024)]
    pub password: String,
    /// At least one.
    #[schema(min_items = 1)]
    pub roles: Vec<Role>,
}

/// What to change about an account; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserUpdate {
    /// The new roles, at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Whether the account is to be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A new password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now; needed for one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// 12 to 1024 bytes.
    #[schema(min_length = 12, max_length = 1024)]
    pub new: String,
}

/// What an authenticator app is given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneTimeSecret {
    /// The secret in Base32.
    pub secret: String,
    /// The same as an address, for a QR code.
    pub uri: String,
}

/// A code that shows that the app has the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTimeCode {
    /// Six digits.
    pub code: String,
}

/// Codes that each replace a one-time code once. They are not shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub codes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn what_roles_may_do() {
        let all: Vec<String> = Role::ALL
            .into_iter()
            .map(|role| {
                assert_eq!(role.name().parse(), Ok(role));
                let scopes: Vec<&str> = role.scopes().iter().map(|scope| scope.name()).collect();
                format!("{role}: {}", scopes.join(" "))
            })
            .collect();
        assert_eq!(
            all,
            [
                "viewer: read",
                "publisher: read publish",
                "operator: read operate approve",
                "auditor: read audit",
                "admin: admin"
            ]
        );
    }
}
