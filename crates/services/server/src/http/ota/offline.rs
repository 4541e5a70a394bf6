//! `/api/v1/admin/repo/offline-updates`: lists of updates for vehicles without network.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use updraft_api::Scope;

use super::{act, read, read_metadata};
use crate::error::Error;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

/// The body of `POST offline-updates/NAME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfflineRequest {
    values: Map<String, Value>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

pub(super) async fn set(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, GatewayError> {
    let OfflineRequest { values, expires_at } =
        read(&fleet, content, "the offline updates").await?;
    let bytes = act(&fleet, admin, Scope::Operate, move |fleet, operator| {
        fleet.set_offline_updates(operator, &name, values, expires_at)
    })
    .await?;
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

pub(super) async fn show(
    State(fleet): State<Shared>,
    _: Admin,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("offline updates", file.escape_default().to_string());
    let (version, name) = split(&file).ok_or_else(missing)?;
    let name = name.to_owned();
    let bytes = run(&fleet, move |fleet| fleet.offline_updates(&name, version)).await?;
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

/// A Director's root signed elsewhere.
pub(super) async fn put_root(
    State(fleet): State<Shared>,
    admin: Admin,
    content: Body,
) -> Result<axum::http::StatusCode, GatewayError> {
    let bytes = super::reposerver::canonical(&read_metadata(&fleet, content).await?)?;
    act(&fleet, admin, Scope::Admin, move |fleet, operator| {
        fleet.accept_director_root(operator, &bytes)
    })
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
