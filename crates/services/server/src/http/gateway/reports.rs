//! What devices tell about themselves.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use crate::error::Error;
use crate::fleet::device_logs::MAX_LOG;
use crate::http::answer::GatewayError;
use crate::http::callers::Device;
use crate::http::names::GatewayNames;
use crate::http::{Shared, body, run};

pub(crate) async fn system_info(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    json_document(fleet, device, "system_info", content).await
}

pub(crate) async fn network(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    json_document(fleet, device, "network", content).await
}

pub(crate) async fn slots(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    json_document(fleet, device, "slots", content).await
}

pub(crate) async fn packages(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    json_document(fleet, device, "packages", content).await
}

async fn json_document(
    fleet: Shared,
    device: String,
    kind: &'static str,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let limit = fleet.config.limits.body_bytes;
    let bytes = body::bytes(content, "the report", limit, fleet.config.body_idle_timeout()).await?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .map_err(|error| Error::invalid("the report", error))?;
    run(&fleet, move |fleet| fleet.store_document(&device, kind, &bytes)).await?;
    Ok(StatusCode::OK)
}

pub(crate) async fn config(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let limit = fleet.config.limits.body_bytes;
    let idle = fleet.config.body_idle_timeout();
    let bytes = body::bytes(content, "the configuration", limit, idle).await?;
    run(&fleet, move |fleet| fleet.store_document(&device, "config", &bytes)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The log that the answer to the device's manifest asked for, as text.
pub(crate) async fn log(
    State(fleet): State<Shared>,
    Device(device): Device,
    GatewayNames(log): GatewayNames<u64>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let idle = fleet.config.body_idle_timeout();
    let bytes = body::bytes(content, "the log", MAX_LOG, idle).await?;
    run(&fleet, move |fleet| fleet.receive_log(&device, log, &bytes)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn events(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let reports: Vec<Value> = body::json(&fleet, content, "the list of events").await?;
    run(&fleet, move |fleet| {
        fleet.store_device_events(&device, &reports)?;
        reports.iter().try_for_each(|report| {
            fleet.take_campaign_answer(&device, report)?;
            fleet.take_held(&device, report)
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The campaigns that somebody at the device is to be asked about.
pub(crate) async fn campaigns(
    State(fleet): State<Shared>,
    Device(device): Device,
) -> Result<Json<Value>, GatewayError> {
    Ok(Json(run(&fleet, move |fleet| fleet.campaigns_for(&device)).await?))
}
