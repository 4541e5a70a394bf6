//! The OSTree repository as treehub serves it: below `/api/v3`.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use updraft_api::Scope;

use super::header;
use crate::error::Error;
use crate::fleet::treehub::Move;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::gateway::treehub;
use crate::http::names::GatewayNames;
use crate::http::{Shared, body};
use crate::storage::notes;

/// Longest description of the sources of a commit, in bytes.
const MAX_MANIFEST: u64 = 4 << 20;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/manifests/{commit}", put(put_manifest).get(manifest))
        .route("/{*path}", get(treehub::get).post(upload).put(upload))
}

async fn upload(
    Admin { fleet, operator }: Admin,
    GatewayNames(path): GatewayNames<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    operator.require_upload()?;
    let is_forced = header(&headers, "x-ats-ostree-force").is_some_and(|value| value == "true");
    let allowed = if is_forced { Move::Anywhere } else { Move::ToChild };
    let boundary = header(&headers, "content-type").and_then(super::super::multipart::boundary);
    Ok(treehub::upload(&fleet, operator, &path, allowed, boundary, content).await?)
}

async fn put_manifest(
    admin: Admin,
    GatewayNames(commit): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let what = "the manifest of a commit";
    let idle = admin.fleet.config.body_idle_timeout();
    let bytes = body::bytes(content, what, MAX_MANIFEST, idle).await?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .map_err(|error| Error::invalid(what, error))?;
    admin
        .act(Scope::Publish, move |fleet, _| {
            let commit = fleet.require_commit(&commit)?.to_string();
            let now = fleet.now();
            fleet.database().write("store a commit's manifest", |tx| {
                notes::set_commit_manifest(tx, &commit, &bytes, now)
            })
        })
        .await?;
    Ok(StatusCode::OK)
}

async fn manifest(
    admin: Admin,
    GatewayNames(commit): GatewayNames<String>,
) -> Result<([(&'static str, &'static str); 1], Vec<u8>), GatewayError> {
    let found = admin
        .act(Scope::Read, move |fleet, _| {
            let found = fleet.database().read("read a commit's manifest", |reader| {
                notes::commit_manifest(reader, &commit)
            })?;
            found.ok_or_else(|| Error::not_found("manifest of commit", commit))
        })
        .await?;
    Ok(([("content-type", "application/json")], found))
}
