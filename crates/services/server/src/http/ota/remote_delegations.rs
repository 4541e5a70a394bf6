//! Delegations that the server fetches, and what is known of delegations.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::Scope;

use crate::error::Error;
use crate::fleet::ota::remote_delegations::NewRemote;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;
use crate::http::run;
use crate::storage::delegation_info::DelegationInfo;

/// The body of `PUT trusted-delegations/NAME/remote`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoteRequest {
    uri: String,
    #[serde(default)]
    remote_headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    friendly_name: Option<String>,
}

pub(super) async fn create(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let request: RemoteRequest = admin.read(content, "the delegation").await?;
    let new = NewRemote {
        uri: request.uri,
        headers: request.remote_headers.unwrap_or_default(),
        friendly_name: request.friendly_name,
    };
    admin
        .act(Scope::Admin, move |fleet, operator| fleet.fetch_delegation(operator, &name, new))
        .await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn refresh(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    let Admin { fleet, operator } = admin;
    operator.require_role(&name, "publish for others")?;
    run(&fleet, move |fleet| fleet.refresh_delegation(&operator, &name)).await?;
    Ok(StatusCode::OK)
}

/// Headers are not shown: they may hold a secret.
fn shown(info: &DelegationInfo) -> Value {
    json!({
        "lastFetched": info.fetched_at.map(|time| time.to_string()),
        "remoteUri": info.remote.as_ref().map(|remote| &remote.uri),
        "friendlyName": info.friendly_name,
    })
}

pub(super) async fn infos(admin: Admin) -> Result<Json<BTreeMap<String, Value>>, GatewayError> {
    let all = admin.act(Scope::Read, |fleet, _| fleet.delegation_infos()).await?;
    Ok(Json(all.iter().map(|(name, info)| (name.clone(), shown(info))).collect()))
}

pub(super) async fn info(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let info = admin.act(Scope::Read, move |fleet, _| fleet.delegation_info(&name)).await?;
    Ok(Json(shown(&info)))
}

pub(super) async fn edit(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let edit: Value = admin.read(content, "the delegation").await?;
    let given = |field: &str| edit.get(field).is_some_and(|value| !value.is_null());
    let friendly = edit.get("friendlyName").and_then(Value::as_str).map(str::to_owned);
    let (Some(friendly), false) = (friendly, given("lastFetched") || given("remoteUri")) else {
        let reason = "friendlyName is what can be changed";
        return Err(Error::invalid("the delegation", reason).into());
    };
    admin.act(Scope::Publish, move |fleet, _| fleet.name_delegation(&name, &friendly)).await?;
    Ok(StatusCode::OK)
}
