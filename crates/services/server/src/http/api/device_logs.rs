//! `/api/v1/devices/{id}/logs` and `/api/v1/devices/{id}/configuration`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use updraft_api::{DeviceLog, Problem as ProblemBody, Scope, paths};

use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, run};

/// Lists the logs that a device was asked for, newest first.
#[utoipa::path(get, path = paths::DEVICE_LOGS, tag = "devices", operation_id = "list_device_logs",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Vec<DeviceLog>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
) -> Result<Json<Vec<DeviceLog>>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.device_logs(&id)).await?))
}

/// Has a device send its log with its next poll. Asking again before it came is answered with the
/// request that is there. Needs the scope `operate`.
#[utoipa::path(post, path = paths::DEVICE_LOGS, tag = "devices",
    operation_id = "request_device_log",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 201, body = DeviceLog),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn request(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
) -> Result<(StatusCode, Json<DeviceLog>), Problem> {
    operator.require(Scope::Operate)?;
    let log = run(&fleet, move |fleet| fleet.request_log(&operator, &id)).await?;
    Ok((StatusCode::CREATED, Json(log)))
}

/// Shows a log that a device sent, as text. Logs may tell of what people do: this needs the scope
/// `operate`.
#[utoipa::path(get, path = paths::DEVICE_LOG, tag = "devices", operation_id = "show_device_log",
    params(
        ("id" = String, Path, description = "The device's id"),
        ("log" = u64, Path, description = "The log's number"),
    ), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((id, log)): Names<(String, u64)>,
) -> Result<Response, Problem> {
    operator.require(Scope::Operate)?;
    let file = format!("attachment; filename=\"log-{log}.txt\"");
    let text = run(&fleet, move |fleet| fleet.device_log(&id, log)).await?;
    Ok(([(CONTENT_DISPOSITION, file)], as_text(text)).into_response())
}

/// Shows the configuration that a device reported, as it sent it: TOML.
#[utoipa::path(get, path = paths::DEVICE_CONFIGURATION, tag = "devices",
    operation_id = "show_device_configuration",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn configuration(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
) -> Result<Response, Problem> {
    let text = run(&fleet, move |fleet| fleet.device_configuration(&id)).await?;
    Ok(as_text(text).into_response())
}

/// What devices sent is shown as text and as nothing else. What is not UTF-8 is replaced.
fn as_text(bytes: Vec<u8>) -> impl IntoResponse {
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text)
}
