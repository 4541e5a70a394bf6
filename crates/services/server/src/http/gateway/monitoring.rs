//! What devices measure.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use crate::http::answer::GatewayError;
use crate::http::callers::Device;
use crate::http::{Shared, body, run};

/// Under any tag: Torizon's devices send to `/monitoring/fluentbit-metrics`.
pub(crate) async fn metrics(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let records: Value = body::json(&fleet, content, "the metrics").await?;
    run(&fleet, move |fleet| fleet.store_metrics(&device, records)).await?;
    Ok(StatusCode::OK)
}
