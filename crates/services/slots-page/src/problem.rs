//! [`Problem`]: what went wrong, for programs (RFC 9457) and, with the way out, for people.

use serde::Serialize;
use updraft_error::Classify as _;
use updraft_slots::ErrorCode;

/// What went wrong.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    /// HTTP's status.
    pub(crate) status: u16,
    /// What sort it is.
    title: String,
    /// What happened.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cures: Vec<String>,
    /// The number of Android's `update_engine`, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Self {
        let (title, detail) = (title.into(), detail.into());
        Self { status, title, detail, cures: Vec::new(), code: None }
    }

    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cures.push(cure.into());
        self
    }

    pub(crate) fn not_found(path: &str) -> Self {
        Self::new(404, "Not found", format!("there is no /{path}"))
    }
}

impl From<&updraft_slots::Error> for Problem {
    fn from(error: &updraft_slots::Error) -> Self {
        let code = ErrorCode::of(error);
        let problem = Self::new(error.kind().http_status(), code.name(), sentence(error));
        let problem = Self { code: Some(code.0), ..problem };
        match error {
            updraft_slots::Error::Refused(obstacles) => {
                obstacles.iter().fold(problem, |problem, one| problem.cure(one.way_out.as_str()))
            }
            // It has no code, and the message is all that is known.
            _ if code == ErrorCode(1) => problem,
            _ => problem.cure(code.cure()),
        }
    }
}

impl From<&updraft_slots::ConfigError> for Problem {
    fn from(error: &updraft_slots::ConfigError) -> Self {
        Self::new(error.kind().http_status(), "Configuration", sentence(error))
    }
}

/// An error, which is a fragment, with all its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = format!("failed to {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
