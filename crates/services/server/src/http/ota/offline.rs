//! `/api/v1/admin/repo/offline-updates`: lists of updates for vehicles without network.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use updraft_api::Scope;

use crate::error::Error;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{body, run};

/// The body of `POST offline-updates/NAME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfflineRequest {
    values: Map<String, Value>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

pub(super) async fn set(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, GatewayError> {
    let OfflineRequest { values, expires_at } = admin.read(content, "the offline updates").await?;
    let bytes = admin
        .act(Scope::Operate, move |fleet, operator| {
            fleet.set_offline_updates(operator, &name, &values, expires_at)
        })
        .await?;
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

pub(super) async fn show(
    Admin { fleet, .. }: Admin,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("offline updates", file.escape_default().to_string());
    let (version, name) = split(&file).ok_or_else(missing)?;
    let name = name.to_owned();
    let bytes = run(&fleet, move |fleet| fleet.offline_updates(&name, version)).await?;
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

/// A manifest that a device left on a medium.
pub(super) async fn receipt(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    content: Body,
) -> Result<axum::Json<Value>, GatewayError> {
    let limit = admin.fleet.config.limits.body_bytes;
    let idle = admin.fleet.config.body_idle_timeout();
    let bytes = body::bytes(content, "the receipt", limit, idle).await?;
    let receipt = admin
        .act(Scope::Operate, move |fleet, operator| fleet.receive_receipt(operator, &id, &bytes))
        .await?;
    Ok(axum::Json(serde_json::json!({ "receipt": receipt.name() })))
}

/// A Director's root signed elsewhere.
pub(super) async fn put_root(
    admin: Admin,
    content: Body,
) -> Result<axum::http::StatusCode, GatewayError> {
    let bytes = super::reposerver::canonical(&admin.read_metadata(content).await?)?;
    admin
        .act(Scope::Admin, move |fleet, operator| fleet.accept_director_root(operator, &bytes))
        .await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// `7.NAME.json` → (7, `NAME`); `NAME.json` → (none, `NAME`). A name may have dots itself.
pub(crate) fn split(file: &str) -> Option<(Option<u64>, &str)> {
    let stem = file.strip_suffix(".json")?;
    if let Some((digits, name)) = stem.split_once('.')
        && let Ok(version) = digits.parse::<u64>()
        && version.to_string() == digits
    {
        return Some((Some(version), name));
    }
    Some((None, stem))
}
