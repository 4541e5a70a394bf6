//! `/api/v1/image-repository`: what operators sign, and the keys that the server signs with.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use updraft_api::{
    ImageChange, ImageChanged, MetadataAccepted, OnlineKeys, Problem as ProblemBody, Scope, paths,
};

use crate::error::Error;
use crate::fleet::image::Upload;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::content::{self, Cache};
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// A change may be as large as so many metadata files: the text of a file has its quotation marks
/// escaped.
const FILES_OF_A_CHANGE: u64 = 8;

/// The keys that the root must name for the roles snapshot and timestamp.
#[utoipa::path(get, path = paths::ONLINE_KEYS, tag = "image-repository",
    operation_id = "online_keys", responses(
    (status = 200, body = OnlineKeys),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn online_keys(State(fleet): State<Shared>, _: Token) -> Json<OnlineKeys> {
    Json(fleet.online_keys())
}

/// The current root, as signed.
#[utoipa::path(get, path = paths::IMAGE_ROOT, tag = "image-repository",
    operation_id = "get_image_root", responses(
    (status = 200, body = serde_json::Value),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn root(
    State(fleet): State<Shared>,
    _: Token,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    current(&fleet, "root.json", &headers).await
}

/// One version of the root, as signed. Whoever trusts one of them follows the others from it.
#[utoipa::path(get, path = paths::IMAGE_ROOT_VERSION, tag = "image-repository",
    operation_id = "get_image_root_version",
    params(("version" = u64, Path, description = "The root's version, from 1")), responses(
    (status = 200, body = serde_json::Value),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn root_version(
    State(fleet): State<Shared>,
    _: Token,
    Names(version): Names<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    current(&fleet, &format!("{version}.root.json"), &headers).await
}

/// Takes a root, signed by the thresholds of the current one and its own; the first one is taken
/// when its own keys signed it. Needs the scope `admin`.
#[utoipa::path(put, path = paths::IMAGE_ROOT, tag = "image-repository",
    operation_id = "put_image_root", request_body = serde_json::Value, responses(
    (status = 200, body = MetadataAccepted),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_root(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<Json<MetadataAccepted>, Problem> {
    operator.require(Scope::Admin)?;
    let bytes = metadata_body(&fleet, content).await?;
    let accepted =
        run(&fleet, move |fleet| fleet.accept_image_metadata(&operator, Upload::Root, &bytes))
            .await?;
    Ok(Json(accepted))
}

/// The current top-level targets, as signed.
#[utoipa::path(get, path = paths::IMAGE_TARGETS, tag = "image-repository",
    operation_id = "get_image_targets", responses(
    (status = 200, body = serde_json::Value),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn targets(
    State(fleet): State<Shared>,
    _: Token,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    current(&fleet, "targets.json", &headers).await
}

/// Takes top-level targets that are newer and signed by the threshold; snapshot and timestamp
/// are signed at once. Needs the scope `publish`.
#[utoipa::path(put, path = paths::IMAGE_TARGETS, tag = "image-repository",
    operation_id = "put_image_targets", request_body = serde_json::Value, responses(
    (status = 200, body = MetadataAccepted),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_targets(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<Json<MetadataAccepted>, Problem> {
    operator.require(Scope::Publish)?;
    let bytes = metadata_body(&fleet, content).await?;
    let accepted =
        run(&fleet, move |fleet| fleet.accept_image_metadata(&operator, Upload::Targets, &bytes))
            .await?;
    Ok(Json(accepted))
}

/// The current targets of a delegated role, as signed.
#[utoipa::path(get, path = paths::IMAGE_DELEGATION, tag = "image-repository",
    operation_id = "get_image_delegation",
    params(("role" = String, Path, description = "The delegated role's name")), responses(
    (status = 200, body = serde_json::Value),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delegation(
    State(fleet): State<Shared>,
    _: Token,
    Names(role): Names<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    current(&fleet, &format!("delegations/{role}.json"), &headers).await
}

/// Takes targets of a role to which the top-level targets delegate. Needs the scope `publish`.
#[utoipa::path(put, path = paths::IMAGE_DELEGATION, tag = "image-repository",
    operation_id = "put_image_delegation", request_body = serde_json::Value,
    params(("role" = String, Path, description = "The delegated role's name")), responses(
    (status = 200, body = MetadataAccepted),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_delegation(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(role): Names<String>,
    content: Body,
) -> Result<Json<MetadataAccepted>, Problem> {
    operator.require_role(&role, "publish for others")?;
    let bytes = metadata_body(&fleet, content).await?;
    let accepted = run(&fleet, move |fleet| {
        fleet.accept_image_metadata(&operator, Upload::Delegated(&role), &bytes)
    })
    .await?;
    Ok(Json(accepted))
}

/// Takes root, top-level targets and targets of delegated roles together or not at all: a new
/// delegation with its first targets, or other keys with what they signed. Needs the scope
/// `publish`, and `admin` for a root. With `tuf` the repository is from then on published in TUF's
/// form too (needs `admin`), and each change must bring both forms of what this server cannot sign.
#[utoipa::path(post, path = paths::IMAGE_CHANGE, tag = "image-repository",
    operation_id = "change_image_repository", request_body = ImageChange, responses(
    (status = 200, body = ImageChanged),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn change(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<Json<ImageChanged>, Problem> {
    operator.require_upload()?;
    let limit = fleet.config.limits.metadata_bytes.saturating_mul(FILES_OF_A_CHANGE);
    let what = "the change";
    let bytes = body::bytes(content, what, limit, fleet.config.body_idle_timeout()).await?;
    let change: ImageChange =
        serde_json::from_slice(&bytes).map_err(|error| Error::invalid(what, error))?;
    operator.require_change(&change)?;
    let begins =
        change.tuf.is_some() && run(&fleet, |fleet| Ok(fleet.tuf_repository().is_none())).await?;
    let has_root = change.tuf.as_ref().is_some_and(|tuf| tuf.root.is_some());
    if begins || has_root || change.root.is_some() {
        operator.require(Scope::Admin)?;
    }
    let changed = run(&fleet, move |fleet| fleet.accept_image_change(&operator, &change)).await?;
    Ok(Json(changed))
}

/// Uploads the content of a target that is a file; it must be what the signed targets say. Needs
/// the scope `publish`.
#[utoipa::path(put, path = "/api/v1/image-repository/files/{name}", tag = "image-repository",
    operation_id = "put_image_file",
    request_body(content = String, content_type = "application/octet-stream"),
    params(("name" = String, Path, description = "The target's name, slashes included")),
    responses(
    (status = 201, description = "Stored"),
    (status = 204, description = "It was stored before"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_file(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<StatusCode, Problem> {
    operator.require_upload()?;
    let stored = body::stream(&fleet, content, "the target file", move |fleet, content| {
        fleet.check_content(&operator, &name)?;
        fleet.store_target_file(&name, content)
    })
    .await?;
    Ok(if stored { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

async fn current(fleet: &Shared, file: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let bytes = content::image_file(fleet, file.to_owned()).await?.ok_or_else(|| {
        Error::not_found("Image repository metadata", file.escape_default().to_string())
    })?;
    Ok(content::metadata(headers, bytes, Cache::Revalidate))
}

async fn metadata_body(fleet: &Shared, content: Body) -> Result<Vec<u8>, Error> {
    let limit = fleet.config.limits.metadata_bytes;
    body::bytes(content, "the metadata", limit, fleet.config.body_idle_timeout()).await
}
