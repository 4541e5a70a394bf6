//! The Image repository as ota-tuf's reposerver serves it: `/api/v1/user_repo`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use serde_json::Value;
use updraft_api::Scope;
use updraft_crypto::KeyAlgorithm;
use updraft_publish::algorithm_of_key_type;
use updraft_tuf::Envelope;

use super::{answer, delegations, header, remote_delegations, targets};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::Upload;
use crate::fleet::online_keys::DIALECT;
use crate::fleet::ota::keys::RepositoryName;
use crate::http::answer::GatewayError;
use crate::http::callers::{Admin, Anybody};
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, body, run};

/// Says which repository an answer is of.
const REPOSITORY_ID: &str = "x-ats-tuf-repo-id";
/// Says which targets are there, or were there when somebody looked.
const ROLE_CHECKSUM: &str = "x-ats-role-checksum";

pub(crate) fn routes() -> Router<Shared> {
    let repository = Router::new()
        .route("/root", get(unsigned_root).post(put_root))
        .route("/root/rotate", put(rotate))
        .route("/root/private_keys/{id}", get(private_key).delete(delete_private_key))
        .route("/{file}", get(metadata))
        .route("/targets", put(put_targets))
        .route("/targets/expire/not-before", put(targets::set_not_before))
        .route("/proprietary-custom/{*name}", patch(targets::patch_custom))
        .route("/uploads/{*name}", put(targets::upload))
        .route("/comments", get(targets::comments))
        .route("/comments/{*name}", get(targets::comment).put(targets::put_comment))
        .route("/target_items", get(targets::items))
        .route("/target_items/{*name}", get(targets::item))
        .route("/trusted-delegations", get(delegations::list).put(delegations::enter))
        .route("/trusted-delegations/keys", get(delegations::keys).put(delegations::add_keys))
        .route("/trusted-delegations/info", get(remote_delegations::infos))
        .route(
            "/trusted-delegations/{name}/info",
            get(remote_delegations::info).patch(remote_delegations::edit),
        )
        .route("/trusted-delegations/{name}/remote", put(remote_delegations::create))
        .route("/trusted-delegations/{name}/remote/refresh", put(remote_delegations::refresh))
        .route("/trusted-delegations/{name}", delete(delegations::remove))
        .route("/delegations/{file}", get(delegations::show).put(delegations::put))
        .route("/delegations_items", get(delegations::items))
        .route(
            "/targets/{*name}",
            get(targets::content)
                .post(targets::add)
                .put(targets::add_content)
                .delete(targets::remove)
                .patch(targets::edit),
        );
    Router::new().route("/user_repo", post(create)).nest("/user_repo", repository)
}

/// Marks an answer with the repository's id.
fn marked(fleet: &Shared, mut response: Response) -> Response {
    let id = fleet.repository_id(RepositoryName::Image).ok();
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(REPOSITORY_ID, id);
    }
    response
}

/// The algorithm that a body asks for: `{"keyType": "RSA"}`. Without one it is Ed25519.
pub(super) async fn algorithm(fleet: &Shared, content: Body) -> Result<KeyAlgorithm> {
    const WHAT: &str = "the request";
    let limit = fleet.config.limits.body_bytes;
    let bytes = body::bytes(content, WHAT, limit, fleet.config.body_idle_timeout()).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(KeyAlgorithm::Ed25519);
    }
    let request: Value =
        serde_json::from_slice(&bytes).map_err(|error| Error::invalid(WHAT, error))?;
    match request.get("keyType").and_then(Value::as_str) {
        None => Ok(KeyAlgorithm::Ed25519),
        Some(name) => {
            algorithm_of_key_type(name).ok_or_else(|| Error::invalid(WHAT, "keyType is unknown"))
        }
    }
}

async fn create(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let algorithm = algorithm(&admin.fleet, content).await?;
    let id = admin
        .act(Scope::Admin, move |fleet, operator| {
            fleet.create_image_repository(operator, algorithm)?;
            fleet.repository_id(RepositoryName::Image)
        })
        .await?;
    Ok(marked(&admin.fleet, answer(StatusCode::OK, id)))
}

async fn metadata(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let found = content::image_file(&fleet, file.clone()).await?;
    let bytes = found.ok_or_else(|| {
        Error::not_found("Image repository metadata", file.escape_default().to_string())
    })?;
    let checksum = updraft_tuf::sha256_hex(&bytes);
    let response = content::metadata(&headers, bytes, Cache::Revalidate);
    let checksum = [(ROLE_CHECKSUM, checksum)];
    Ok(marked(&fleet, (checksum, response).into_response()))
}

async fn put_targets(
    admin: Admin,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, GatewayError> {
    let known = header(&headers, ROLE_CHECKSUM).map(str::to_owned);
    let bytes = canonical(&admin.read_metadata(content).await?)?;
    let checksum = updraft_tuf::sha256_hex(&bytes);
    admin
        .act(Scope::Publish, move |fleet, operator| {
            fleet.accept_targets_after(operator, known.as_deref(), &bytes)
        })
        .await?;
    let answer = (StatusCode::NO_CONTENT, [(ROLE_CHECKSUM, checksum)]).into_response();
    Ok(marked(&admin.fleet, answer))
}

/// The bytes that signatures and hashes are of, whatever the sender's white space.
pub(super) fn canonical(bytes: &[u8]) -> Result<Vec<u8>> {
    let malformed = |error| Error::invalid("the metadata", error);
    let envelope = Envelope::parse(DIALECT, bytes, bytes.len()).map_err(malformed)?;
    envelope.to_bytes(DIALECT).map_err(malformed)
}

async fn unsigned_root(Admin { fleet, .. }: Admin) -> Result<Response, GatewayError> {
    let root = run(&fleet, |fleet| fleet.unsigned_root(RepositoryName::Image)).await?;
    Ok(marked(&fleet, Json(root).into_response()))
}

async fn put_root(admin: Admin, content: Body) -> Result<StatusCode, GatewayError> {
    let bytes = canonical(&admin.read_metadata(content).await?)?;
    admin
        .act(Scope::Admin, move |fleet, operator| {
            fleet.accept_image_metadata(operator, Upload::Root, &bytes)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(admin: Admin) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Admin, Fleet::rotate_image_root).await?;
    Ok(StatusCode::OK)
}

pub(super) async fn private_key(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let id = id.parse().map_err(|error| Error::invalid("the key id", error))?;
    let pair = admin.act(Scope::Admin, move |fleet, _| fleet.image_key_pair(&id)).await?;
    Ok(Json(pair))
}

pub(super) async fn delete_private_key(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    let id = id.parse().map_err(|error| Error::invalid("the key id", error))?;
    admin.act(Scope::Admin, move |fleet, operator| fleet.delete_image_key(operator, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
