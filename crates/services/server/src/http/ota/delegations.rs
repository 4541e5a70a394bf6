//! Trusted delegations, and the targets that delegated roles sign.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;
use updraft_api::Scope;

use super::reposerver::canonical;
use super::{Words, page};
use crate::error::Error;
use crate::fleet::ota::delegations::TrustedDelegation;
use crate::http::answer::GatewayError;
use crate::http::callers::{Admin, Anybody};
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

/// When the server fetched the metadata that it gives.
const LAST_FETCHED: &str = "x-ats-delegation-last-fetched-at";

pub(super) async fn list(admin: Admin) -> Result<Json<Vec<TrustedDelegation>>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, |fleet, _| fleet.trusted_delegations()).await?))
}

pub(super) async fn enter(admin: Admin, content: Body) -> Result<StatusCode, GatewayError> {
    let delegations: Vec<TrustedDelegation> = admin.read(content, "the delegations").await?;
    admin
        .act(Scope::Admin, move |fleet, operator| fleet.trust_delegations(operator, &delegations))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Admin, move |fleet, operator| fleet.distrust_delegation(operator, &name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn keys(admin: Admin) -> Result<Json<Vec<Value>>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, |fleet, _| fleet.delegation_keys()).await?))
}

pub(super) async fn add_keys(admin: Admin, content: Body) -> Result<StatusCode, GatewayError> {
    let keys: Vec<Value> = admin.read(content, "the keys").await?;
    admin
        .act(Scope::Admin, move |fleet, operator| fleet.add_delegation_keys(operator, &keys))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The role whose file this is: `NAME.json`, or just its name.
fn role(file: &str) -> &str {
    file.strip_suffix(".json").unwrap_or(file)
}

pub(super) async fn show(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let name = format!("delegations/{}.json", role(&file));
    let bytes = content::image_file(&fleet, name).await?.ok_or_else(|| {
        Error::not_found("Image repository metadata", file.escape_default().to_string())
    })?;
    let mut response = content::metadata(&headers, bytes, Cache::Revalidate);
    let asked = role(&file).to_owned();
    // Nobody delegates to a role whose metadata is still here: nothing is known of it then.
    let info = run(&fleet, move |fleet| fleet.delegation_info(&asked)).await.ok();
    let fetched = info.and_then(|info| info.fetched_at).map(|time| time.to_string());
    if let Some(value) = fetched.and_then(|time| HeaderValue::from_str(&time).ok()) {
        response.headers_mut().insert(LAST_FETCHED, value);
    }
    Ok(response)
}

pub(super) async fn put(
    admin: Admin,
    GatewayNames(file): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let bytes = canonical(&admin.read_metadata(content).await?)?;
    let Admin { fleet, operator } = admin;
    operator.require_role(role(&file), "publish for others")?;
    run(&fleet, move |fleet| fleet.accept_delegated_targets(&operator, role(&file), &bytes))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn items(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let (items, total) = admin
        .act(Scope::Read, move |fleet, _| Ok(window.cut(fleet.delegated_items(&contains)?)))
        .await?;
    Ok(page(items, total, window))
}
