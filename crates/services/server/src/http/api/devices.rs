//! `/api/v1/devices`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use updraft_api::{
    Device, DevicePage, Event, NewPin, Page, PageQuery, Problem as ProblemBody, Scope, paths,
};
use utoipa::IntoParams;

use super::{Asked, by_number, limit};
use crate::fleet::device_list::Wanted;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Which devices are wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceQuery {
    /// Only the devices of this group.
    #[serde(default)]
    group: Option<String>,
    /// Only those that this query chooses, such as `state==failed;group==lab`: RSQL over `id`,
    /// `state`, `hardware_id`, `image`, `release`, `version`, `rollout`, `group`, `attacked`,
    /// `last_seen`, `registered_at`, `tag.NAME` and `attribute.NAME`.
    #[serde(default)]
    filter: Option<String>,
    /// In this order, such as `last_seen:DESC,id:ASC`; by id when absent.
    #[serde(default)]
    sort: Option<String>,
    /// Leaves out so many at the beginning, for lists that people scroll; scripts go on by `after`.
    #[serde(default)]
    #[param(maximum = 100_000_000)]
    skip: Option<u32>,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    after: Option<String>,
    /// At most this many items (1 to 1000, default 100).
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lists the devices, by id unless another order is asked for.
#[utoipa::path(get, path = paths::DEVICES, tag = "devices", operation_id = "list_devices",
    params(DeviceQuery), responses(
    (status = 200, body = DevicePage),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<DeviceQuery>,
) -> Result<Json<DevicePage>, Problem> {
    let limit = limit(query.limit)?;
    let wanted = Wanted {
        group: query.group,
        filter: query.filter,
        sort: query.sort,
        after: query.after,
        skip: u64::from(query.skip.unwrap_or(0)),
        limit,
    };
    Ok(Json(run(&fleet, move |fleet| fleet.device_list(&wanted)).await?))
}

/// Shows one device.
#[utoipa::path(get, path = paths::DEVICE, tag = "devices", operation_id = "show_device",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Device),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
) -> Result<Json<Device>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.device(&id)).await?))
}

/// Deletes a device with all that is known of it. Its certificate is refused from then on, and
/// its id is free again. Needs the scope `admin`.
#[utoipa::path(delete, path = paths::DEVICE, tag = "devices", operation_id = "delete_device",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 204, description = "Deleted"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Admin)?;
    run(&fleet, move |fleet| fleet.delete_device(&operator, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a device's certificate from now on, and keeps what is known of it. Needs the scope
/// `admin`.
#[utoipa::path(post, path = paths::DEVICE_REVOKE, tag = "devices", operation_id = "revoke_device",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Device),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn revoke(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
) -> Result<Json<Device>, Problem> {
    operator.require(Scope::Admin)?;
    Ok(Json(run(&fleet, move |fleet| fleet.revoke_device(&operator, &id)).await?))
}

/// Pins a device to what it runs: no rollout takes it until the pin is removed. What it was told already
/// goes on. Needs the scope `operate`.
#[utoipa::path(put, path = paths::DEVICE_PIN, tag = "devices", operation_id = "pin_device",
    params(("id" = String, Path, description = "The device's id")),
    request_body = NewPin, responses(
    (status = 200, body = Device),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn pin(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
    content: Body,
) -> Result<Json<Device>, Problem> {
    operator.require(Scope::Operate)?;
    let NewPin { reason } = body::json(&fleet, content, "the pin").await?;
    Ok(Json(run(&fleet, move |fleet| fleet.pin_device(&operator, &id, &reason)).await?))
}

/// Lets rollouts take a device again. Needs the scope `operate`.
#[utoipa::path(delete, path = paths::DEVICE_PIN, tag = "devices", operation_id = "unpin_device",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Device),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn unpin(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
) -> Result<Json<Device>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.unpin_device(&operator, &id)).await?))
}

/// Lists what happened to a device, oldest first. Works for deleted devices too.
#[utoipa::path(get, path = paths::DEVICE_EVENTS, tag = "devices", operation_id = "device_events",
    params(("id" = String, Path, description = "The device's id"), PageQuery), responses(
    (status = 200, body = Page<Event>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn events(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let (after, limit) = by_number(query.after.as_deref(), query.limit)?;
    Ok(Json(run(&fleet, move |fleet| fleet.device_events(&id, after, limit)).await?))
}
