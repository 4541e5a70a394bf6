//! The device gateway: paths, bodies and status codes of the aktualizr world.

mod director;
mod est;
mod monitoring;
mod provisioning;
mod repo;
mod reports;
pub(crate) mod treehub;
mod tuf;

use axum::Router;
use axum::routing::{get, post, put};

use super::Shared;

/// The routes of devices, and the OSTree repository.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/devices", post(provisioning::register))
        .route("/.well-known/est/cacerts", get(est::authorities))
        .route("/.well-known/est/simplereenroll", post(est::renew))
        .route("/director/ecus", post(director::register_components))
        .route("/director/manifest", put(director::manifest))
        .route("/director/{file}", get(director::metadata))
        .route("/repo/{file}", get(repo::metadata))
        .route("/repo/delegations/{file}", get(repo::delegation))
        .route("/repo/targets/{*name}", get(repo::target))
        .route("/tuf/{file}", get(tuf::metadata))
        .route("/tuf/targets/{*name}", get(tuf::target))
        .route("/system_info", put(reports::system_info))
        .route("/system_info/network", put(reports::network))
        .route("/system_info/slots", put(reports::slots))
        .route("/system_info/config", post(reports::config).put(reports::config))
        .route("/system_info/logs/{log}", put(reports::log))
        .route("/core/installed", put(reports::packages))
        .route("/monitoring/{tag}", post(monitoring::metrics))
        .route("/events", post(reports::events))
        .route("/campaigner/campaigns", get(reports::campaigns))
        .route("/treehub/{*path}", get(treehub::get).post(treehub::post))
}
