//! `/api/v1/devices/{id}/metrics`.

use axum::Json;
use axum::extract::State;
use updraft_api::{Metric, MetricQuery, MetricSeries, Problem as ProblemBody, paths};

use super::Asked;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, run};

/// Lists a device's metrics with their newest values, by name.
#[utoipa::path(get, path = paths::DEVICE_METRICS, tag = "devices", operation_id = "list_metrics",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Vec<Metric>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
) -> Result<Json<Vec<Metric>>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.metrics(&id)).await?))
}

/// Shows a device's metric over time: the last day, unless the query says otherwise.
#[utoipa::path(get, path = paths::DEVICE_METRIC, tag = "devices", operation_id = "show_metric",
    params(
        ("id" = String, Path, description = "The device's id"),
        ("name" = String, Path, description = "The metric's name"),
        MetricQuery,
    ), responses(
    (status = 200, body = MetricSeries),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    _: Token,
    Names((id, name)): Names<(String, String)>,
    Asked(query): Asked<MetricQuery>,
) -> Result<Json<MetricSeries>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.metric_series(&id, &name, &query)).await?))
}
