//! HTTP: connections, routes, and handlers that decode, call the fleet, and encode.

mod acting;
mod answer;
mod api;
mod body;
mod callers;
mod content;
mod cookies;
mod dashboard;
mod direct;
mod flood;
mod gateway;
mod hawkbit;
mod hosts;
mod listening;
mod mender;
mod metering;
pub mod multipart;
mod names;
pub mod openapi;
mod ota;
mod paced;
mod serve;
mod telling;
mod tenancy;
mod tls;
mod unmoved;
mod unread;
mod way;

pub use serve::{Listeners, serve, serve_and_look};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::routing::get;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::layout::Layout;
use crate::storage::audit;

/// What all handlers share.
pub type Shared = Arc<Fleet>;

/// Refuses TLS files that a server could not run with.
pub fn check_tls(layout: &Layout) -> Result<()> {
    tls::configuration(layout).map(drop)
}

/// All routes.
pub fn router(fleet: Shared) -> Router {
    Router::new()
        .route(updraft_api::paths::HEALTH, get(async || "ok\n"))
        .merge(metering::routes())
        .merge(gateway::routes())
        .merge(api::routes())
        .merge(dashboard::routes())
        .merge(ota::routes())
        .merge(hawkbit::routes())
        .merge(mender::routes())
        .fallback(async |uri: Uri| {
            answer::refusal(&uri, Error::not_found("anything at", "this path"))
        })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            answer::refusal(&uri, Error::Method { method: method.to_string() })
        })
        // Handlers read bodies through `body`, which knows the configured limits.
        .layer(DefaultBodyLimit::disable())
        .with_state(fleet)
}

/// Runs what only reads the database, and little of it. What SQLite reads lies in memory as a rule: to
/// wake another thread, and to be woken by it, costs more than the look itself. Where the database is
/// another process, or all connections are lent, it is done where waiting is allowed.
async fn look<T: Send + 'static>(
    fleet: &Shared,
    work: impl FnOnce(&Fleet) -> Result<T> + Send + 'static,
) -> Result<T> {
    if !fleet.database().reads_at_once() {
        return run(fleet, work).await;
    }
    audit::acting(acting::origin(), || work(fleet))
}

/// Runs what may wait for the database or the disk where waiting is allowed.
async fn run<T: Send + 'static>(
    fleet: &Shared,
    work: impl FnOnce(&Fleet) -> Result<T> + Send + 'static,
) -> Result<T> {
    let fleet = Arc::clone(fleet);
    let span = tracing::Span::current();
    let origin = acting::origin();
    let work = move || audit::acting(origin, || work(&fleet));
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(|error| Error::Internal { action: "run a request", reason: error.to_string() })?
}
