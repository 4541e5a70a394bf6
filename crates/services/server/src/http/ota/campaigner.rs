//! The campaigner: `/api/v2/updates` and `/api/v2/campaigns`.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::Scope;

use super::{Words, answer, page};
use crate::error::Error;
use crate::fleet::ota::campaigns::{CampaignText, NewCampaign};
use crate::fleet::ota::deliveries::Delivery;
use crate::http::Shared;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;
use crate::storage::campaigns::{self, CampaignUpdate};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/updates", get(updates).post(create_update))
        .route("/updates/{id}", get(update))
        .route("/campaigns", get(list).post(create))
        .route("/campaigns/{id}", get(show).put(edit))
        .route("/campaigns/{id}/launch", post(launch))
        .route("/campaigns/{id}/cancel", post(cancel))
        .route("/campaigns/{id}/stats", get(stats))
        .route("/campaigns/{id}/deliveries", get(deliveries))
}

/// The body of `POST updates`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewUpdate {
    update_source: UpdateSource,
    name: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateSource {
    id: String,
    source_type: String,
}

async fn create_update(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let new: NewUpdate = admin.read(content, "the update").await?;
    if new.update_source.source_type != "multi_target" {
        return Err(Error::invalid("the update", "its sourceType is not multi_target").into());
    }
    let id = admin
        .act(Scope::Operate, move |fleet, _| {
            let description = new.description.unwrap_or_default();
            fleet.create_campaign_update(&new.update_source.id, &new.name, &description)
        })
        .await?;
    Ok(answer(StatusCode::CREATED, id))
}

fn shown(update: &CampaignUpdate) -> Value {
    json!({
        "uuid": update.id,
        "source": { "id": update.source, "sourceType": "multi_target" },
        "name": update.name,
        "description": update.description,
        "createdAt": update.created_at.to_string(),
        "updatedAt": update.created_at.to_string(),
    })
}

async fn updates(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let all = admin
        .act(Scope::Read, |fleet, _| fleet.database().read("list updates", campaigns::updates))
        .await?;
    let found = all.iter().filter(|update| update.name.contains(&contains)).map(shown);
    let (found, total) = window.cut(found.collect());
    Ok(page(found, total, window))
}

async fn update(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let found = admin
        .act(Scope::Read, move |fleet, _| {
            fleet.database().read("read an update", |reader| campaigns::require_update(reader, &id))
        })
        .await?;
    Ok(Json(shown(&found)))
}

async fn create(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let new: NewCampaign = admin.read(content, "the campaign").await?;
    let id = admin
        .act(Scope::Operate, move |fleet, operator| fleet.create_campaign(operator, new))
        .await?;
    Ok(answer(StatusCode::CREATED, id))
}

async fn list(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let status = words.get("status").map(str::to_owned);
    let all = admin
        .act(Scope::Read, move |fleet, _| fleet.campaigns(status.as_deref(), &contains))
        .await?;
    let (found, total) = window.cut(all);
    Ok(page(found, total, window))
}

async fn show(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.campaign(&id)).await?))
}

/// The body of `PUT campaigns/ID`.
#[derive(Debug, Deserialize)]
struct Edit {
    name: String,
    #[serde(default)]
    metadata: Option<Vec<CampaignText>>,
}

async fn edit(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let Edit { name, metadata } = admin.read(content, "the campaign").await?;
    admin
        .act(Scope::Operate, move |fleet, operator| {
            fleet.edit_campaign(operator, &id, &name, metadata.as_deref())
        })
        .await?;
    Ok(StatusCode::OK)
}

async fn launch(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, operator| fleet.launch_campaign(operator, &id)).await?;
    Ok(StatusCode::OK)
}

async fn cancel(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, operator| fleet.cancel_campaign(operator, &id)).await?;
    Ok(StatusCode::OK)
}

async fn stats(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.campaign_stats(&id)).await?))
}

/// The devices of a campaign and how far they have come; only those of a status, if one is given.
async fn deliveries(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let status = words.get("status").map(str::to_owned);
    let all = admin.act(Scope::Read, move |fleet, _| fleet.deliveries(&id)).await?;
    let wanted = |one: &&Delivery| status.as_ref().is_none_or(|status| one.status == status);
    let shown = all.iter().filter(wanted).map(|one| {
        json!({
            "deviceId": one.device,
            "status": one.status,
            "description": one.reason,
            "createdAt": one.assigned_at.map(|time| time.to_string()),
            "updatedAt": one.changed_at.map(|time| time.to_string()),
        })
    });
    let (shown, total) = window.cut(shown.collect());
    Ok(page(shown, total, window))
}
