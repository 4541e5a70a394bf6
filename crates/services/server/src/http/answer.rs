//! How errors are answered: RFC 9457 problems to operators, the aktualizr world's error JSON to
//! devices.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use updraft_error::Classify as _;

use crate::error::{Error, chain};

/// An error on an operator's route.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Error);

/// An error on a device's route.
#[derive(Debug)]
pub(crate) struct GatewayError(pub(crate) Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Error> for GatewayError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The stable code of an error, beside its answer: for the audit log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

/// Answers, in the manner of the path's audience, what no handler was asked for.
pub(crate) fn refusal(uri: &Uri, error: Error) -> Response {
    if uri.path().starts_with("/api/") {
        Problem(error).into_response()
    } else {
        GatewayError(error).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = status(&error);
        let detail = format!("failed to {}", detail(&error, status));
        let mut problem = updraft_api::Problem::with_status(error.kind(), status.as_u16(), detail);
        problem.code = Some(error.code().to_owned());
        problem.hint = error.hint().map(str::to_owned);
        let mut response = (status, Json(problem)).into_response();
        let media_type = HeaderValue::from_static(updraft_api::problem::MEDIA_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response.extensions_mut().insert(Code(error.code()));
        // Who logs in wrongly has nothing to send in `Authorization`.
        if matches!(error, Error::Unauthenticated { .. }) {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Error::TooOften { seconds } | Error::Flood { seconds } = error {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for GatewayError {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = status(&error);
        let body = json!({
            "code": error.code(),
            "description": format!("failed to {}", detail(&error, status)),
        });
        let mut response = (status, Json(body)).into_response();
        if let Error::TooOften { seconds } | Error::Flood { seconds } = error {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Code(error.code()));
        response
    }
}

/// The status; what is our own fault is logged here, once.
fn status(error: &Error) -> StatusCode {
    let status =
        StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(reason = chain(error), kind = %error.kind(), "a request failed");
    } else {
        tracing::debug!(reason = chain(error), kind = %error.kind(), "a request was refused");
    }
    status
}

/// What callers are told. The causes of our own faults are for the log, not for them.
fn detail(error: &Error, status: StatusCode) -> String {
    if status.is_server_error() { error.to_string() } else { chain(error) }
}
