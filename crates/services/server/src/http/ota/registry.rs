//! The device registry of the OTA world: devices, what they tell, and groups.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::{EventKind, Scope};

use super::{Words, answer, groups, page, tags};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::ota::registry::{DeviceSearch, NewDevice};
use crate::http::Shared;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;

/// The most events of a device in one answer.
const MAX_EVENTS: u32 = 1000;

/// What no other interface has at the same path.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/devices", post(create).put(create))
        .route("/devices/count", get(count))
        .route("/devices/stats", get(stats))
        .route("/devices/{id}", put(label).patch(label))
        .route("/devices/{id}/groups", get(groups_of))
        .route("/devices/{id}/packages", get(packages))
        .route("/devices/{id}/installation_reports", get(reports))
        .route("/devices/{id}/installation_history", get(reports))
        .route("/devices/{id}/system_info", get(system_info))
        .route("/devices/{id}/system_info/network", get(network))
        .route("/devices/{id}/system_info/config", get(config))
        .route("/devices/{id}/device_tags", get(tags::of_device).patch(tags::set))
        .route("/device_tags", get(tags::list).post(tags::set_many))
        .route("/device_tags/{tag}", put(tags::rename).delete(tags::delete))
        .route("/device_groups", get(groups::list).post(groups::create))
        .route("/device_groups/{group}", get(groups::show).delete(groups::delete))
        .route("/device_groups/{group}/count", get(groups::count))
        .route("/device_groups/{group}/auto_update", get(groups::auto_updates))
        .route(
            "/device_groups/{group}/auto_update/{*package}",
            put(groups::follow).delete(groups::unfollow),
        )
        .route("/device_groups/{group}/devices", get(groups::devices))
        .route("/device_groups/{group}/devices/{id}", post(groups::add).delete(groups::remove))
        // As the documentation of ota-community-edition has it.
        .route("/device_groups/{group}/{id}", post(groups::add))
}

/// What this server's own interface answers in its own words unless it sees who asks.
pub(crate) fn own_routes() -> Router<Shared> {
    Router::new()
        .route("/devices", get(list))
        .route("/devices/{id}", get(show).delete(delete))
        .route("/devices/{id}/events", get(events))
}

/// The body of `POST` and `PUT devices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceRequest {
    #[serde(default, alias = "deviceUuid")]
    uuid: Option<String>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    device_name: Option<String>,
    #[serde(default)]
    device_type: Option<String>,
    #[serde(default)]
    credentials: Option<String>,
}

async fn create(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let request: DeviceRequest = admin.read(content, "the device").await?;
    // Here a device has one id, that of its certificate. Elsewhere it has two, mostly alike.
    let named = request
        .credentials
        .as_ref()
        .and_then(|pem| updraft_crypto::tls::certificate_info(pem.as_bytes()).ok()?.common_name);
    let ids = [request.uuid, request.device_id].into_iter().flatten();
    let id = ids.clone().find(|id| named.as_ref() == Some(id)).or(ids.into_iter().next());
    let new = NewDevice {
        id: id.ok_or_else(|| Error::invalid("the device", "`deviceId` is missing"))?,
        name: request.device_name,
        kind: request.device_type,
        certificate: request.credentials,
    };
    let id =
        admin.act(Scope::Admin, move |fleet, operator| fleet.enter_device(operator, &new)).await?;
    Ok(answer(StatusCode::CREATED, id))
}

async fn list(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let text = |name: &str| words.get(name).map(str::to_owned);
    let search = DeviceSearch {
        id: text("deviceId"),
        name_contains: text("nameContains"),
        group: text("groupId"),
        primary_hardware: words.list("hardwareIds").into_iter().next(),
    };
    let (devices, total) =
        admin.act(Scope::Read, move |fleet, _| fleet.search_devices(&search, window)).await?;
    Ok(page(devices, total, window))
}

async fn show(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.registered_device(&id)).await?))
}

async fn delete(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Admin, move |fleet, operator| fleet.delete_device(operator, &id)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The body of `PUT` and `PATCH devices/ID`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LabelRequest {
    #[serde(default)]
    device_name: Option<String>,
    #[serde(default)]
    notes: Option<String>,
}

async fn label(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let request: LabelRequest = admin.read(content, "the device").await?;
    admin
        .act(Scope::Operate, move |fleet, _| {
            fleet.label_device(&id, request.device_name.as_deref(), request.notes.as_deref())
        })
        .await?;
    Ok(StatusCode::OK)
}

/// How many devices there are, by what they are like; or how many an expression chooses.
async fn count(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    if let Some(expression) = words.get("expression").map(str::to_owned) {
        let chosen = admin.act(Scope::Read, move |fleet, _| fleet.count_by_rule(&expression));
        return Ok(Json(chosen.await?.into()));
    }
    let counts = admin
        .act(Scope::Read, |fleet, _| {
            let mut counts = std::collections::BTreeMap::from([("total", 0_u64)]);
            let all = crate::fleet::ota::Window { offset: 0, limit: u64::MAX };
            for device in fleet.search_devices(&DeviceSearch::default(), all)?.0 {
                let name = match device["deviceStatus"].as_str() {
                    Some("NotSeen") => "notSeen",
                    Some("Error") => "error",
                    Some("Outdated") => "outdated",
                    _ => "upToDate",
                };
                *counts.entry(name).or_default() += 1;
                *counts.entry("total").or_default() += 1;
            }
            Ok(counts)
        })
        .await?;
    Ok(Json(json!(counts)))
}

/// How many devices ended what a correlation stands for, by the code that they told.
async fn stats(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let correlation = words.get("correlationId").unwrap_or_default().to_owned();
    let counts =
        admin.act(Scope::Read, move |fleet, _| fleet.installation_counts(&correlation)).await?;
    let total: u64 = counts.values().sum();
    let shown: Vec<Value> = counts
        .into_iter()
        .map(|(code, count)| json!({ "resultCode": code, "total": count, "success": code == "OK" }))
        .collect();
    Ok(Json(json!({ "total": total, "values": shown })))
}

async fn groups_of(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let device = admin.act(Scope::Read, move |fleet, _| fleet.device(&id)).await?;
    let (names, total) = window.cut(device.groups);
    Ok(page(names, total, window))
}

async fn reports(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let (reports, total) =
        admin.act(Scope::Read, move |fleet, _| fleet.installation_reports(&id, window)).await?;
    Ok(page(reports, total, window))
}

async fn packages(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let body = document(&admin, id, "packages").await?.unwrap_or_default();
    let packages: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
    let contains = words.get("nameContains").unwrap_or_default();
    let found = packages
        .into_iter()
        .filter(|one| one["name"].as_str().is_some_and(|name| name.contains(contains)));
    let (packages, total) = window.cut(found.collect());
    Ok(page(packages, total, window))
}

async fn document(
    admin: &Admin,
    id: String,
    kind: &'static str,
) -> Result<Option<Vec<u8>>, GatewayError> {
    let read = admin.act(Scope::Read, move |fleet, _| fleet.device_document(&id, kind));
    Ok(read.await?)
}

async fn system_info(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Response, GatewayError> {
    let body = document(&admin, id, "system_info").await?;
    Ok(as_sent(body.unwrap_or_else(|| b"{}".to_vec()), "application/json"))
}

async fn network(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let body = document(&admin, id.clone(), "network").await?.unwrap_or_default();
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Json(json!({
        "deviceUuid": id,
        "localIpV4": told["local_ipv4"],
        "hostname": told["hostname"],
        "macAddress": told["mac"],
    })))
}

async fn config(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Response, GatewayError> {
    let body = document(&admin, id.clone(), "config").await?;
    let body = body.ok_or_else(|| Error::not_found("configuration of device", id))?;
    Ok(as_sent(body, "application/toml"))
}

fn as_sent(body: Vec<u8>, media_type: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", axum::http::HeaderValue::from_static(media_type));
    (headers, body).into_response()
}

async fn events(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Vec<Value>>, GatewayError> {
    let correlation = words.get("correlationId").map(str::to_owned);
    let events = admin
        .act(Scope::Read, move |fleet, _| device_events(fleet, &id, correlation.as_deref()))
        .await?;
    Ok(Json(events))
}

/// What a device wanted known, as it sent it; only what is about a correlation when one is given.
pub(super) fn device_events(
    fleet: &Fleet,
    id: &str,
    correlation: Option<&str>,
) -> Result<Vec<Value>> {
    let events = fleet.device_events(id, 0, MAX_EVENTS)?.items.into_iter();
    let told = events.filter(|event| event.kind == EventKind::DeviceReport);
    let shown = told.filter_map(|event| {
        let sent = event.data?;
        let payload = sent.get("event").cloned().unwrap_or_default();
        if correlation.is_some_and(|wanted| payload["correlationId"] != wanted) {
            return None;
        }
        Some(json!({
            "deviceUuid": id,
            "eventId": sent.get("id"),
            "eventType": sent.get("eventType"),
            "deviceTime": sent.get("deviceTime"),
            "receivedAt": event.at.to_string(),
            "ecu": payload.get("ecu"),
            "payload": payload,
        }))
    });
    Ok(shown.collect())
}
