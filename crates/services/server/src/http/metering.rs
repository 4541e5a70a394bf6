//! `/metrics` for Prometheus, `/readyz` for whoever sends requests here, and what is counted of requests.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use updraft_api::paths;

use super::answer::Problem;
use super::callers::Token;
use super::{Shared, run};
use crate::error::chain;

/// OpenMetrics 1.0, "Text Format".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route(paths::METRICS, get(metrics)).route(paths::READY, get(ready))
}

async fn metrics(State(fleet): State<Shared>, _: Token) -> Result<impl IntoResponse, Problem> {
    let text = run(&fleet, crate::fleet::Fleet::metrics_text).await?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text))
}

/// Says nothing of why it is not: that is in the log.
async fn ready(State(fleet): State<Shared>) -> (StatusCode, &'static str) {
    match run(&fleet, crate::fleet::Fleet::check_ready).await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(reason = chain(&error), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    }
}

/// Which interface a path belongs to: few names, whatever is asked for.
pub(super) fn interface(path: &str) -> &'static str {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("api", "v1") => "rest",
        ("api", "devices") => "mender",
        ("rest", "v1") => "hawkbit_management",
        (_, "controller") => "hawkbit",
        ("ui", _) => "dashboard",
        ("repo" | "tuf" | "treehub", _) => "content",
        ("director" | "devices" | "system_info" | "core" | "monitoring" | "events", _) => "uptane",
        ("healthz" | "readyz" | "metrics", _) => "monitoring",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::interface;

    #[test]
    fn paths_have_few_names() {
        for (path, expected) in [
            ("/api/v1/devices", "rest"),
            ("/default/controller/v1/d1", "hawkbit"),
            ("/director/manifest", "uptane"),
            ("/repo/targets/a/b", "content"),
            ("/", "other"),
            ("//x", "other"),
        ] {
            assert_eq!(interface(path), expected, "{path}");
        }
    }
}
