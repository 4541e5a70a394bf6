//! What an operator's token allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token allows. Each scope but `admin` stands alone; every token may read.
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
    /// Everything, deleting devices and replacing the root included.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Publish, Self::Operate, Self::Admin];

    /// The name on the wire and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// Whether a token with this scope may do what needs `needed`.
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
        f.write_str("a scope is one of read, publish, operate, admin")
    }
}

impl std::error::Error for UnknownScope {}

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
                "admin: read publish operate admin"
            ]
        );
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
        }
    }
}
