//! What can be wrong with the form of a file, before anybody asks whether to trust it.

use updraft_error::{Classify, Kind};

/// Bytes or values that do not have the form they should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The text is not JSON.
    #[error("JSON is malformed at byte {offset}: {problem}")]
    Syntax {
        /// Offset of the first byte that does not fit.
        offset: usize,
        /// What was expected or found.
        problem: &'static str,
    },
    /// One object names a member twice, so readers could disagree about its value.
    #[error("JSON object names member {key:?} twice")]
    DuplicateKey {
        /// The member's name.
        key: String,
    },
    /// The input is larger than its named limit.
    #[error("input of {length} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// Length of the input in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A required field is absent.
    #[error("field {field} is missing")]
    Missing {
        /// Name of the field.
        field: String,
    },
    /// A field is there, but its value is of the wrong type or out of range.
    #[error("field {field} {problem}")]
    Field {
        /// Name of the field.
        field: String,
        /// A phrase such as `is not a string`.
        problem: String,
    },
    /// The value has no canonical form in this dialect.
    #[error("number {text} has no canonical form: only integers have one")]
    NotCanonical {
        /// The number as text.
        text: String,
    },
    /// A public key's text cannot be decoded.
    #[error("public key is malformed: {problem}")]
    Key {
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl FormatError {
    pub(crate) fn missing(field: &str) -> Self {
        Self::Missing { field: field.to_owned() }
    }

    pub(crate) fn field(field: &str, problem: impl Into<String>) -> Self {
        Self::Field { field: field.to_owned(), problem: problem.into() }
    }
}

impl Classify for FormatError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::Exhausted,
            _ => Kind::Invalid,
        }
    }
}
