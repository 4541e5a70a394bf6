//! The Director as operators of the OTA world ask it: `/api/v1/admin`, and what is beside it.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::Scope;

use super::{Words, answer, assignments, offline, page, updates};
use crate::error::Error;
use crate::fleet::components::{Registered, RegisteredComponent, Registration};
use crate::fleet::ota::keys::RepositoryName;
use crate::fleet::ota::registry::DeviceSearch;
use crate::fleet::ota::standing_orders::Follows;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

/// The most images in one question.
const MAX_IMAGES: usize = 1000;

pub(crate) fn routes() -> Router<Shared> {
    let admin = Router::new()
        .route("/repo", post(create))
        .route("/repo/root", post(offline::put_root))
        .route("/repo/{file}", get(metadata))
        .route("/repo/offline-updates/{file}", get(offline::show).post(offline::set))
        .route("/images/installed_count", post(installed_count))
        .route("/devices", get(devices).post(register))
        .route("/devices/hardware_identifiers", get(hardware_identifiers))
        .route("/devices/ecus", get(all_ecus))
        .route("/devices/list-installed-targets", post(installed_targets))
        .route("/devices/{id}", get(device))
        .route("/devices/{id}/images", get(device))
        .route("/devices/{id}/queue", get(assignments::queue))
        .route("/devices/{id}/targets.json", put(refresh))
        .route("/devices/{id}/multi_target_update/{update}", put(updates::assign))
        .route("/devices/{id}/receipts", post(offline::receipt))
        .route("/devices/{id}/ecus/public_key", get(key_of_query))
        .route("/devices/{id}/ecus/{serial}/public_key", get(key))
        .route("/devices/{id}/ecus/{serial}/auto_update", get(auto_updates))
        .route("/devices/{id}/ecus/{serial}/auto_update/{*package}", put(follow).delete(unfollow));
    Router::new()
        .nest("/admin", admin)
        .route("/multi_target_updates", get(updates::list_specs).post(updates::create_spec))
        .route("/multi_target_updates/{id}", get(updates::show_spec))
        .route(
            "/assignments",
            get(assignments::list).post(assignments::create).patch(assignments::cancel_many),
        )
        .route("/assignments/devices", get(assignments::affected))
        .route(
            "/assignments/{id}",
            get(assignments::queue).patch(assignments::cancel).delete(assignments::cancel),
        )
        .route("/updates", get(updates::list))
        .route("/updates/{id}", axum::routing::patch(updates::cancel_all))
        .route("/updates/{id}/devices", get(updates::devices))
        .route("/updates/devices", post(updates::create_many))
        .route("/updates/devices/{id}", get(updates::of_device).post(updates::create))
        .route("/updates/devices/{id}/{update}", get(updates::show).patch(updates::cancel))
        .route("/updates/devices/{id}/{update}/events", get(updates::events))
}

/// The Director is there since the server is.
async fn create(admin: Admin) -> Result<Response, GatewayError> {
    let id =
        admin.act(Scope::Admin, |fleet, _| fleet.repository_id(RepositoryName::Director)).await?;
    Ok(answer(StatusCode::CREATED, id))
}

/// `[N.]root.json` and `[N.]offline-snapshot.json`.
async fn metadata(
    Admin { fleet, .. }: Admin,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("Director metadata", file.escape_default().to_string());
    let (version, role) = super::offline::split(&file).ok_or_else(missing)?;
    let role = role.to_owned();
    let bytes = match role.as_str() {
        "root" => run(&fleet, move |fleet| fleet.director_root(version)).await?.map(|one| one.body),
        "offline-snapshot" => {
            Some(run(&fleet, move |fleet| fleet.offline_snapshot(version)).await?)
        }
        _ => None,
    };
    Ok(content::metadata(&headers, bytes.ok_or_else(missing)?, Cache::Revalidate))
}

async fn devices(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let hardware = words.get("primaryHardwareId").map(str::to_owned);
    let are_ids_enough = hardware.is_none();
    let search = DeviceSearch { primary_hardware: hardware, ..DeviceSearch::default() };
    let (found, total) = admin
        .act(Scope::Read, move |fleet, _| {
            let (found, total) = fleet.search_devices(&search, window)?;
            let mut shown = Vec::new();
            for device in found {
                let id = device["uuid"].as_str().unwrap_or_default().to_owned();
                // Without the question for hardware, older servers give nothing but ids.
                if are_ids_enough {
                    shown.push(Value::String(id));
                    continue;
                }
                let primary = fleet.component_infos(&id)?.into_iter().next();
                let primary = primary.map(|one| one["id"].clone());
                shown.push(
                    json!({ "id": id, "primaryEcu": primary, "createdAt": device["createdAt"] }),
                );
            }
            Ok((shown, total))
        })
        .await?;
    Ok(page(found, total, window))
}

/// The body of `POST admin/devices`.
#[derive(Debug, Deserialize)]
struct NewDevice {
    #[serde(rename = "deviceId", alias = "vin")]
    id: String,
    primary_ecu_serial: String,
    ecus: Vec<RegisteredComponent>,
}

async fn register(admin: Admin, content: Body) -> Result<StatusCode, GatewayError> {
    let new: NewDevice = admin.read(content, "the device").await?;
    let NewDevice { id, primary_ecu_serial, ecus } = new;
    let registration = Registration { primary_ecu_serial, ecus };
    let registered = admin
        .act(Scope::Admin, move |fleet, operator| {
            fleet.enter_components(operator, &id, &registration)
        })
        .await?;
    Ok(match registered {
        Registered::Created => StatusCode::CREATED,
        Registered::Updated | Registered::Unchanged => StatusCode::OK,
    })
}

async fn device(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Vec<Value>>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.component_infos(&id)).await?))
}

async fn hardware_identifiers(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let ids = admin.act(Scope::Read, |fleet, _| fleet.hardware_ids()).await?;
    let (ids, total) = window.cut(ids);
    Ok(page(ids, total, window))
}

async fn all_ecus(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let (found, total) = admin
        .act(Scope::Read, move |fleet, _| {
            let (devices, total) = fleet.search_devices(&DeviceSearch::default(), window)?;
            let mut found = Vec::new();
            for device in devices {
                let id = device["uuid"].as_str().unwrap_or_default();
                found.push(json!({ id: fleet.component_infos(id)? }));
            }
            Ok((found, total))
        })
        .await?;
    Ok(page(found, total, window))
}

async fn installed_targets(admin: Admin, content: Body) -> Result<Json<Value>, GatewayError> {
    let ids: Vec<String> = admin.read(content, "the list of devices").await?;
    if ids.len() > MAX_IMAGES {
        return Err(Error::invalid("the list of devices", "it is too long").into());
    }
    let values = admin
        .act(Scope::Read, move |fleet, _| {
            let mut values = serde_json::Map::new();
            for id in ids {
                values.insert(id.clone(), fleet.installed_targets(&id)?.into());
            }
            Ok(values)
        })
        .await?;
    Ok(Json(json!({ "values": values })))
}

async fn installed_count(admin: Admin, content: Body) -> Result<Json<Value>, GatewayError> {
    #[derive(Deserialize)]
    struct Images {
        filepaths: Vec<String>,
    }
    let Images { filepaths } = admin.read(content, "the list of images").await?;
    if filepaths.len() > MAX_IMAGES {
        return Err(Error::invalid("the list of images", "it is too long").into());
    }
    let counts = admin.act(Scope::Read, move |fleet, _| fleet.installed_counts(&filepaths)).await?;
    Ok(Json(json!(counts)))
}

async fn key(
    admin: Admin,
    GatewayNames((id, serial)): GatewayNames<(String, String)>,
) -> Result<Json<Value>, GatewayError> {
    let key = admin.act(Scope::Read, move |fleet, _| fleet.component_key(&id, &serial));
    Ok(Json(key.await?))
}

async fn key_of_query(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let serial = words.get("ecu_serial").unwrap_or_default().to_owned();
    key(admin, GatewayNames((id, serial))).await
}

async fn auto_updates(
    admin: Admin,
    GatewayNames((id, serial)): GatewayNames<(String, String)>,
) -> Result<Json<Vec<String>>, GatewayError> {
    let packages = admin.act(Scope::Read, move |fleet, _| fleet.auto_updates(&id, &serial));
    Ok(Json(packages.await?))
}

async fn follow(
    admin: Admin,
    GatewayNames((id, serial, package)): GatewayNames<(String, String, String)>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, _| {
            fleet.set_auto_update(&id, &serial, &package, Follows::Newest)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unfollow(
    admin: Admin,
    GatewayNames((id, serial, package)): GatewayNames<(String, String, String)>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, _| {
            fleet.set_auto_update(&id, &serial, &package, Follows::Nothing)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A device's metadata is made when it asks, so there is nothing to do.
async fn refresh(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, _| fleet.registered_device(&id).map(drop)).await?;
    Ok(StatusCode::ACCEPTED)
}
