//! `/api/v1/device_tags` and `/api/v1/devices/ID/device_tags`: what operators note about devices.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use updraft_api::Scope;

use super::header;
use crate::error::{Error, Result};
use crate::fleet::ota::tags_table;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::multipart::{self, FormFile};
use crate::http::{body, names::GatewayNames};

/// Tags with their values, as the device registry lists them: pairs.
type Pairs = Json<Vec<(String, String)>>;

pub(super) async fn list(admin: Admin) -> Result<Json<Vec<String>>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, |fleet, _| fleet.tags()).await?))
}

pub(super) async fn of_device(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Pairs, GatewayError> {
    let tags = admin.act(Scope::Read, move |fleet, _| fleet.tags_of(&id)).await?;
    Ok(Json(tags.into_iter().collect()))
}

/// The body of `PATCH devices/ID/device_tags`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagValue {
    tag_id: String,
    tag_value: String,
}

pub(super) async fn set(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    content: Body,
) -> Result<Pairs, GatewayError> {
    let TagValue { tag_id, tag_value } = admin.read(content, "the tag").await?;
    let tags = admin
        .act(Scope::Operate, move |fleet, operator| {
            fleet.tag_device(operator, &id, &tag_id, &tag_value)
        })
        .await?;
    Ok(Json(tags.into_iter().collect()))
}

/// The body of `PUT device_tags/TAG`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagName {
    tag_id: String,
}

pub(super) async fn rename(
    admin: Admin,
    GatewayNames(tag): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let TagName { tag_id } = admin.read(content, "the tag").await?;
    admin
        .act(Scope::Operate, move |fleet, operator| fleet.rename_tag(operator, &tag, &tag_id))
        .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn delete(
    admin: Admin,
    GatewayNames(tag): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, operator| fleet.delete_tag(operator, &tag)).await?;
    Ok(StatusCode::OK)
}

/// `POST device_tags`: a table of devices and their tags, as the part `custom-device-fields` of a
/// form, or by itself.
pub(super) async fn set_many(
    admin: Admin,
    headers: HeaderMap,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    const WHAT: &str = "the table of tags";
    let limit = admin.fleet.config.limits.body_bytes;
    let idle = admin.fleet.config.body_idle_timeout();
    let mut bytes = body::bytes(content, WHAT, limit, idle).await?;
    let malformed = |error| Error::invalid(WHAT, error);
    if let Some(boundary) = header(&headers, "content-type").and_then(multipart::boundary) {
        let form = std::mem::take(&mut bytes);
        FormFile::open(&form[..], &boundary, "custom-device-fields")
            .and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut bytes))
            .map_err(malformed)?;
    }
    let table = tags_table::parse(&bytes).map_err(|reason| Error::invalid(WHAT, reason))?;
    admin.act(Scope::Operate, move |fleet, operator| fleet.tag_devices(operator, &table)).await?;
    Ok(StatusCode::NO_CONTENT)
}
