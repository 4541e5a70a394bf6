//! What a refused request is answered with: RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use updraft_error::Kind;
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `kind` tells the sort.
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong with this request, for people.
    pub detail: String,
    /// The sort of failure: `rejected`, `invalid`, `not-found`, `conflict`, `unsupported`,
    /// `exhausted`, `unavailable`, `cancelled` or `bug`.
    pub kind: String,
    /// A stable name of the failure, where a caller would act on it: `one_time_code_needed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of this kind with the status that belongs to it.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self::with_status(kind, kind.http_status(), detail)
    }

    /// A problem whose status is more exact than its kind's, such as 401 or 413.
    pub fn with_status(kind: Kind, status: u16, detail: impl Into<String>) -> Self {
        Self {
            type_uri: about_blank(),
            title: title(status).to_owned(),
            status,
            detail: detail.into(),
            kind: kind.label().to_owned(),
            code: None,
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The kind, when this build knows the label.
    pub fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.label() == self.kind)
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use updraft_error::Kind;

    #[test]
    fn every_kind_makes_a_titled_problem_that_tells_its_kind() {
        for kind in Kind::ALL {
            let problem = Problem::new(kind, "x");
            assert_ne!(problem.title, "Error", "{kind}");
            assert_eq!(problem.kind(), Some(kind));
        }
    }

    #[test]
    fn the_wire_form_is_that_of_rfc_9457() {
        let problem = Problem::new(Kind::NotFound, "device a is unknown").hint("list them");
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "about:blank",
          "title": "Not Found",
          "status": 404,
          "detail": "device a is unknown",
          "kind": "not-found",
          "hint": "list them"
        }
        "#);
    }
}
