//! Mender's device API, and as much of its management API as lets devices in.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, http};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use updraft_api::Scope;
use updraft_error::Classify as _;
use uuid::Uuid;

use super::hawkbit::{Caller, content};
use super::{Shared, body, callers, run};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result, chain};
use crate::fleet::mender::deployments::{DeploymentStatus, Offer, Provides};
use crate::storage::mender::{Admission, MenderDevice};

const DEVICES: &str = "/api/devices/v1";
const DEPLOYMENTS: &str = "/deployments/device/deployments";
const DEVAUTH: &str = "/api/management/v2/devauth";

pub(crate) fn routes() -> Router<Shared> {
    let device = |rest: &str| format!("{DEVICES}{rest}");
    Router::new()
        .route(&device("/authentication/auth_requests"), post(authenticate))
        .route(&device("/inventory/device/attributes"), put(replace_inventory).patch(add_inventory))
        .route(&device(&format!("{DEPLOYMENTS}/next")), get(next_by_query))
        .route(&format!("/api/devices/v2{DEPLOYMENTS}/next"), post(next_by_body))
        .route(&device(&format!("{DEPLOYMENTS}/{{id}}/status")), put(status))
        .route(&device(&format!("{DEPLOYMENTS}/{{id}}/log")), put(log))
        .route(&device("/deployments/download/{action}/{artifact}"), get(download))
        .route(&format!("{DEVAUTH}/devices"), get(list))
        .route(&format!("{DEVAUTH}/devices/{{id}}"), delete(forget))
        .route(&format!("{DEVAUTH}/devices/{{id}}/auth/{{auth}}/status"), put(decide))
}

/// An error in Mender's words.
#[derive(Debug)]
struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = self.0;
        let status =
            StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = if status.is_server_error() {
            tracing::error!(reason = chain(&error), kind = %error.kind(), "a request failed");
            error.to_string()
        } else {
            tracing::debug!(reason = chain(&error), kind = %error.kind(), "a request was refused");
            chain(&error)
        };
        (status, Json(json!({ "error": format!("failed to {text}") }))).into_response()
    }
}

type Answer = Result<Response, Refusal>;

/// The device that shows its token.
struct Device(String);

impl FromRequestParts<Shared> for Device {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Refusal> {
        let header = authorization(&parts.headers);
        Ok(Self(run(fleet, move |fleet| fleet.mender_device(header.as_deref())).await?))
    }
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(AUTHORIZATION)?.to_str().ok().map(str::to_owned)
}

async fn bytes(fleet: &Shared, body: Body, what: &'static str) -> Result<Vec<u8>> {
    let limit = fleet.config.limits.body_bytes;
    body::bytes(body, what, limit, fleet.config.body_idle_timeout()).await
}

async fn authenticate(State(fleet): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let signature = headers
        .get("x-men-signature")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| Error::Unauthenticated {
            reason: "the request has no `X-MEN-Signature`".to_owned(),
        })?
        .to_owned();
    let bytes = bytes(&fleet, body, "the authentication request").await?;
    let token = run(&fleet, move |fleet| fleet.mender_authenticate(&bytes, &signature)).await?;
    Ok(([(CONTENT_TYPE, "application/jwt")], token).into_response())
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
    value: Value,
}

async fn replace_inventory(State(fleet): State<Shared>, Device(id): Device, body: Body) -> Answer {
    inventory(&fleet, id, body, true).await
}

async fn add_inventory(State(fleet): State<Shared>, Device(id): Device, body: Body) -> Answer {
    inventory(&fleet, id, body, false).await
}

async fn inventory(fleet: &Shared, id: String, body: Body, replace: bool) -> Answer {
    let attributes: Vec<Attribute> = body::json(fleet, body, "the inventory").await?;
    let told: BTreeMap<String, String> =
        attributes.into_iter().map(|attribute| (attribute.name, plain(attribute.value))).collect();
    run(fleet, move |fleet| fleet.mender_inventory(&id, &told, replace)).await?;
    Ok(StatusCode::OK.into_response())
}

/// A value as text; of a list all values.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(values) => values.into_iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
struct NextRequest {
    #[serde(default)]
    device_provides: Provides,
}

async fn next_by_body(
    State(fleet): State<Shared>,
    Device(id): Device,
    caller: Caller,
    body: Body,
) -> Answer {
    let asked: NextRequest = body::json(&fleet, body, "what the device provides").await?;
    next(&fleet, id, &caller, asked.device_provides).await
}

async fn next_by_query(
    State(fleet): State<Shared>,
    Device(id): Device,
    caller: Caller,
    Query(provides): Query<Provides>,
) -> Answer {
    next(&fleet, id, &caller, provides).await
}

async fn next(fleet: &Shared, id: String, caller: &Caller, provides: Provides) -> Answer {
    let offer = run(fleet, move |fleet| fleet.mender_next(&id, &provides)).await?;
    let Some(Offer { action, header, artifact, until, code }) = offer else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let uri = format!(
        "{}{DEVICES}/deployments/download/{action}/{}?until={}&code={code}",
        caller.origin,
        artifact.id,
        until.as_second()
    );
    Ok(Json(json!({
        "id": deployment_id(action).to_string(),
        "artifact": {
            "artifact_name": header.name,
            "device_types_compatible": header.device_types,
            "source": { "uri": uri, "expire": format!("{until:.0}") },
        },
    }))
    .into_response())
}

/// The id of a deployment: the action's number as a UUID (version 8, RFC 9562), for a client that
/// finds its logs by ids confuses short ones.
fn deployment_id(action: i64) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, of) in bytes.iter_mut().rev().zip(action.to_be_bytes().iter().rev()) {
        *byte = *of;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The action of a deployment's id.
fn action_of(text: &str) -> Result<i64> {
    let unknown = || Error::not_found("deployment", text.chars().take(80).collect::<String>());
    let id = Uuid::parse_str(text).map_err(|_| unknown())?;
    // Without the bits that say what sort of UUID it is.
    let action = i64::try_from(id.as_u128() & ((1 << 62) - 1)).map_err(|_| unknown())?;
    if deployment_id(action) == id { Ok(action) } else { Err(unknown()) }
}

fn number(text: &str) -> Result<i64> {
    let unknown = |_| Error::not_found("file", text.chars().take(80).collect::<String>());
    text.parse().map_err(unknown)
}

#[derive(Deserialize)]
struct Report {
    status: DeploymentStatus,
    #[serde(default)]
    substate: Option<String>,
}

async fn status(
    State(fleet): State<Shared>,
    Device(id): Device,
    Path(action): Path<String>,
    body: Body,
) -> Answer {
    let action = action_of(&action)?;
    let Report { status, substate } = body::json(&fleet, body, "the status").await?;
    let goes_on =
        run(&fleet, move |fleet| fleet.mender_status(&id, action, status, substate.as_deref()))
            .await?;
    if goes_on {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stop = json!({ "error": "the deployment was aborted" });
    Ok((StatusCode::CONFLICT, Json(stop)).into_response())
}

#[derive(Deserialize)]
struct Log {
    messages: Vec<LogLine>,
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    level: String,
    message: String,
}

async fn log(
    State(fleet): State<Shared>,
    Device(id): Device,
    Path(action): Path<String>,
    body: Body,
) -> Answer {
    let action = action_of(&action)?;
    let log: Log = body::json(&fleet, body, "the log").await?;
    let lines = log
        .messages
        .into_iter()
        .map(|line| format!("{} {} {}", line.timestamp, line.level, line.message))
        .collect();
    run(&fleet, move |fleet| fleet.mender_log(&id, action, lines)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Link {
    until: i64,
    code: String,
}

async fn download(
    State(fleet): State<Shared>,
    Path((action, artifact)): Path<(String, String)>,
    Query(link): Query<Link>,
    headers: HeaderMap,
) -> Answer {
    let which = (number(&action)?, number(&artifact)?);
    let file = run(&fleet, move |fleet| fleet.mender_file(which, link.until, &link.code)).await?;
    Ok(content(&fleet, &file, &headers).await?)
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    status: Option<Admission>,
    #[serde(default)]
    page: Option<u32>,
    #[serde(default)]
    per_page: Option<u32>,
}

/// The one key of a device has an id of its own, as Mender's scripts expect.
fn auth_id(device: &MenderDevice) -> String {
    let hash = hex::encode(Sha256::digest(device.public_key.as_bytes()));
    hash.get(..32).unwrap_or(&hash).to_owned()
}

fn shown(device: &MenderDevice) -> Value {
    let identity: Value = serde_json::from_str(&device.identity).unwrap_or(Value::Null);
    let requested = format!("{:.0}", device.requested_at);
    json!({
        "id": device.id,
        "identity_data": identity,
        "status": device.status,
        "created_ts": requested,
        "updated_ts": requested,
        "decommissioning": false,
        "auth_sets": [{
            "id": auth_id(device),
            "pubkey": device.public_key,
            "identity_data": identity,
            "status": device.status,
            "ts": requested,
        }],
    })
}

/// An operator who calls, with a scope.
async fn operator(
    fleet: &Shared,
    parts: &mut Parts,
    scope: Scope,
) -> Result<crate::fleet::operators::Operator> {
    let operator = callers::operator(parts, fleet).await?;
    operator.require(scope)?;
    Ok(operator)
}

async fn list(
    State(fleet): State<Shared>,
    Query(which): Query<Which>,
    request: http::Request<Body>,
) -> Answer {
    let (mut parts, _) = request.into_parts();
    operator(&fleet, &mut parts, Scope::Read).await?;
    let limit = which.per_page.unwrap_or(20).clamp(1, 500);
    let offset = which.page.unwrap_or(1).saturating_sub(1).saturating_mul(limit);
    let found =
        run(&fleet, move |fleet| fleet.mender_devices(which.status, (offset, limit))).await?;
    Ok(Json(found.iter().map(shown).collect::<Vec<_>>()).into_response())
}

#[derive(Deserialize)]
struct Decision {
    status: Admission,
}

async fn decide(
    State(fleet): State<Shared>,
    Path((id, auth)): Path<(String, String)>,
    request: http::Request<Body>,
) -> Answer {
    let (mut parts, body) = request.into_parts();
    let operator = operator(&fleet, &mut parts, Scope::Operate).await?;
    let Decision { status } = body::json(&fleet, body, "the decision").await?;
    run(&fleet, move |fleet| {
        let devices = fleet.mender_devices(None, (0, u32::MAX))?;
        let is_known = devices.iter().any(|device| device.id == id && auth_id(device) == auth);
        if !is_known {
            return Err(Error::hawkbit(Trouble::NotFound, "there is no such device or key"));
        }
        fleet.decide_on_mender_device(&operator, &id, status)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn forget(
    State(fleet): State<Shared>,
    Path(id): Path<String>,
    request: http::Request<Body>,
) -> Answer {
    let (mut parts, _) = request.into_parts();
    let operator = operator(&fleet, &mut parts, Scope::Operate).await?;
    run(&fleet, move |fleet| fleet.forget_mender_device(&operator, &id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::{action_of, deployment_id};

    #[test]
    fn an_action_is_found_by_its_deployment() {
        for action in [0, 1, 7_000_000_000, (1 << 62) - 1] {
            assert_eq!(action_of(&deployment_id(action).to_string()).ok(), Some(action));
        }
        for odd in ["", "7", "00000000-0000-4000-8000-000000000007", "x"] {
            assert!(action_of(odd).is_err(), "{odd}");
        }
    }
}
