//! The keyserver of ota-tuf: `/api/v1/root/REPOSITORY-ID`.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use serde_json::Value;
use updraft_api::Scope;

use super::reposerver::canonical;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::Upload;
use crate::fleet::ota::keys::RepositoryName;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/root/{id}", get(newest))
        .route("/root/{id}/rotate", put(rotate))
        .route("/root/{id}/unsigned", get(unsigned).post(put_signed))
        .route("/root/{id}/private_keys/{key}", delete(delete_key))
        .route("/root/{id}/keys/{key}", get(key))
        .route("/root/{id}/keys/targets/pairs", get(pairs))
        .route("/root/{id}/{version}", get(version))
}

async fn newest(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    root(admin, id, None, headers).await
}

async fn version(
    admin: Admin,
    GatewayNames((id, version)): GatewayNames<(String, u64)>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    root(admin, id, Some(version), headers).await
}

async fn root(
    admin: Admin,
    id: String,
    version: Option<u64>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let bytes = admin
        .act(Scope::Read, move |fleet, _| {
            let found = match fleet.repository_of_id(&id)? {
                RepositoryName::Director => fleet.director_root(version)?.map(|root| root.body),
                RepositoryName::Image => {
                    let name = match version {
                        Some(version) => format!("{version}.root.json"),
                        None => "root.json".to_owned(),
                    };
                    fleet.image_repository().and_then(|image| image.file(&name).map(<[u8]>::to_vec))
                }
            };
            found.ok_or_else(|| Error::not_found("root of repository", id))
        })
        .await?;
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

/// Sees to it that a repository is the one whose keys can be handled here.
async fn require_image(fleet: &Shared, id: String) -> Result<()> {
    match run(fleet, move |fleet| fleet.repository_of_id(&id)).await? {
        RepositoryName::Image => Ok(()),
        RepositoryName::Director => Err(Error::Conflict {
            code: "keys_of_the_director",
            action: "handle the Director's keys".to_owned(),
            reason: "they are the server's own: it signs for every vehicle with them".to_owned(),
        }),
    }
}

async fn rotate(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    require_image(&admin.fleet, id).await?;
    admin.act(Scope::Admin, Fleet::rotate_image_root).await?;
    Ok(StatusCode::OK)
}

async fn unsigned(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let root = admin
        .act(Scope::Read, move |fleet, _| fleet.unsigned_root(fleet.repository_of_id(&id)?))
        .await?;
    Ok(Json(root))
}

async fn put_signed(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let bytes = canonical(&admin.read_metadata(content).await?)?;
    admin
        .act(Scope::Admin, move |fleet, operator| match fleet.repository_of_id(&id)? {
            RepositoryName::Director => fleet.accept_director_root(operator, &bytes),
            RepositoryName::Image => {
                fleet.accept_image_metadata(operator, Upload::Root, &bytes).map(drop)
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn key(
    admin: Admin,
    GatewayNames((id, key)): GatewayNames<(String, String)>,
) -> Result<Json<Value>, GatewayError> {
    require_image(&admin.fleet, id).await?;
    super::reposerver::private_key(admin, GatewayNames(key)).await
}

async fn delete_key(
    admin: Admin,
    GatewayNames((id, key)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    require_image(&admin.fleet, id).await?;
    super::reposerver::delete_private_key(admin, GatewayNames(key)).await
}

async fn pairs(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Vec<Value>>, GatewayError> {
    require_image(&admin.fleet, id).await?;
    let pairs = admin.act(Scope::Admin, |fleet, _| fleet.targets_key_pairs()).await?;
    if pairs.is_empty() {
        return Err(Error::not_found("private key", "of the targets").into());
    }
    Ok(Json(pairs))
}
