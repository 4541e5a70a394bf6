//! Bodies and errors, as hawkBit's interfaces write them.

use axum::Json;
use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use updraft_error::Classify as _;

use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result, chain};
use crate::http::{Shared, body};

const HAL: &str = "application/hal+json";
const JSON: &str = "application/json";
const CBOR: &str = "application/cbor";

/// An error on a route of the hawkBit world.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = self.0;
        let (status, code, class) = words(&error);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = if status.is_server_error() {
            tracing::error!(reason = chain(&error), kind = %error.kind(), "a request failed");
            "an error on the server; its log has more".to_owned()
        } else {
            tracing::debug!(reason = chain(&error), kind = %error.kind(), "a request was refused");
            match &error {
                Error::Hawkbit { message, .. } => message.clone(),
                other => format!("failed to {}", chain(other)),
            }
        };
        let body = json!({
            "exceptionClass": format!("org.eclipse.hawkbit.repository.exception.{class}"),
            "errorCode": format!("hawkbit.server.error.{code}"),
            "message": message,
        });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"hawkBit\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// Status, code and class of an error.
fn words(error: &Error) -> (u16, &'static str, &'static str) {
    let of = |trouble: Trouble| (trouble.status(), trouble.code(), trouble.class());
    match error {
        Error::Hawkbit { trouble, .. } => of(*trouble),
        Error::NotFound { .. } => of(Trouble::NotFound),
        Error::Conflict { code: "type_in_use", .. } => of(Trouble::InUse),
        Error::Conflict { code: "target_type_in_use", .. } => of(Trouble::TypeInUse),
        Error::Conflict { code: "rollout_state" | "rollout_ended", .. } => {
            of(Trouble::RolloutState)
        }
        Error::Conflict { code: "nothing_to_retry", .. } => of(Trouble::RolloutState),
        Error::Rollout(_) => of(Trouble::RolloutDefinition),
        Error::Conflict { .. } => of(Trouble::Exists),
        Error::Name { .. } | Error::Invalid { .. } => of(Trouble::Value),
        Error::Receive { .. } => of(Trouble::Body),
        Error::Unauthenticated { .. } => (401, "unauthorized", "AuthenticationException"),
        Error::Rejected { code: "insufficient_scope", .. } => {
            (403, "insufficientpermission", "InsufficientPermissionException")
        }
        other => (other.http_status(), "repo.genericError", "GenericException"),
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Hal,
    Json,
    Cbor,
}

impl Form {
    /// The form that a caller wants.
    pub(super) fn wanted(headers: &HeaderMap) -> Result<Self> {
        let mut any = false;
        for value in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            for part in value.split(',') {
                any = true;
                match part.split(';').next().unwrap_or_default().trim() {
                    CBOR => return Ok(Self::Cbor),
                    JSON => return Ok(Self::Json),
                    HAL | "*/*" | "application/*" => return Ok(Self::Hal),
                    _ => {}
                }
            }
        }
        if any {
            let message = format!("answers are {HAL}, {JSON} or {CBOR}");
            return Err(Error::hawkbit(Trouble::NotAcceptable, message));
        }
        Ok(Self::Hal)
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hal => HAL,
            Self::Json => JSON,
            Self::Cbor => CBOR,
        })
    }

    /// An answer in this form.
    pub(super) fn answer<T: Serialize>(self, content: &T) -> Result<Response> {
        let failed = |reason: String| Error::Internal { action: "write an answer", reason };
        let bytes = match self {
            Self::Hal | Self::Json => {
                serde_json::to_vec(content).map_err(|error| failed(error.to_string()))?
            }
            Self::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(content, &mut bytes)
                    .map_err(|error| failed(error.to_string()))?;
                bytes
            }
        };
        Ok(self.bytes(bytes))
    }

    /// JSON bytes as an answer in this form.
    pub(super) fn answer_json(self, bytes: Vec<u8>) -> Result<Response> {
        if self != Self::Cbor {
            return Ok(self.bytes(bytes));
        }
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
            Error::Internal { action: "write an answer", reason: error.to_string() }
        })?;
        self.answer(&value)
    }

    fn bytes(self, bytes: Vec<u8>) -> Response {
        ([(CONTENT_TYPE, self.media_type())], bytes).into_response()
    }
}

/// A body, JSON or CBOR.
pub(super) async fn read<T: DeserializeOwned>(
    fleet: &Shared,
    headers: &HeaderMap,
    body: Body,
    what: &'static str,
) -> Result<T> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_cbor = match kind.and_then(|kind| kind.split(';').next()).map(str::trim) {
        Some(kind) if kind.eq_ignore_ascii_case(JSON) => false,
        Some(kind) if kind.eq_ignore_ascii_case(CBOR) => true,
        _ => {
            let message = format!("{what} must be {JSON} or {CBOR}");
            return Err(Error::hawkbit(Trouble::MediaType, message));
        }
    };
    let limit = fleet.config.limits.body_bytes;
    let bytes = body::bytes(body, what, limit, fleet.config.body_idle_timeout()).await?;
    parse(&bytes, is_cbor, what)
}

/// A body of a script, JSON whatever it is called.
pub(super) async fn read_json<T: DeserializeOwned>(
    fleet: &Shared,
    body: Body,
    what: &'static str,
) -> Result<T> {
    let limit = fleet.config.limits.body_bytes;
    let bytes = body::bytes(body, what, limit, fleet.config.body_idle_timeout()).await?;
    parse(&bytes, false, what)
}

/// The same of a body that may be empty.
pub(super) async fn read_optional<T: DeserializeOwned + Default>(
    fleet: &Shared,
    headers: &HeaderMap,
    body: Body,
    what: &'static str,
) -> Result<T> {
    let limit = fleet.config.limits.body_bytes;
    let bytes = body::bytes(body, what, limit, fleet.config.body_idle_timeout()).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    let is_cbor = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.trim_start().starts_with(CBOR));
    parse(&bytes, is_cbor, what)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], is_cbor: bool, what: &'static str) -> Result<T> {
    let wrong = |reason: String| Error::hawkbit(Trouble::Body, format!("{what}: {reason}"));
    if is_cbor {
        return ciborium::from_reader(bytes).map_err(|error| wrong(error.to_string()));
    }
    serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))
}
