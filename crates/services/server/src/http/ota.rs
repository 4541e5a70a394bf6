//! The interface of the OTA world's servers: paths, bodies and status codes that the scripts and
//! tools of ota-community-edition, ota-tuf, director, device registry and treehub know.
//!
//! Those servers are told apart by host names. Here all of them answer under one; a prefix with
//! the service's name (`/reposerver`, `/director`, `/deviceregistry`, `/keyserver`, `/campaigner`)
//! is understood too. There is one tenant: the header `x-ats-namespace` is taken and means nothing
//! else than that the caller is of that world. Every request needs an operator's token.

mod assignments;
mod campaigner;
mod delegations;
mod director;
mod groups;
mod keyserver;
mod oauth2;
mod offline;
mod registry;
mod remote_delegations;
mod reposerver;
mod tags;
mod targets;
mod treehub;
mod updates;

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use updraft_api::Scope;

use super::answer::GatewayError;
use super::callers::Admin;
use super::{Shared, body, run};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::fleet::ota::Window;

/// How many things of a list are given when nobody says.
const DEFAULT_LIMIT: u64 = 50;
/// The most things of a list in one answer.
const MAX_LIMIT: u64 = 1000;

/// All routes.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .merge(healths(""))
        .merge(healths("/treehub"))
        .merge(healths("/campaigner"))
        .route("/oauth2/token", axum::routing::post(oauth2::token))
        .route("/token", axum::routing::post(oauth2::token))
        .nest("/api/v1", reposerver::routes())
        .nest("/api/v1", director::routes())
        .nest("/api/v1", keyserver::routes())
        .nest("/api/v1", registry::routes())
        .nest("/api/v1/director", director::routes())
        .nest("/api/v2", campaigner::routes())
        .nest("/campaigner/api/v2", campaigner::routes())
        .nest("/api/v3", treehub::routes())
        .nest("/api/v2", treehub::routes())
        .nest("/treehub/api/v3", treehub::routes())
        .nest("/treehub/api/v2", treehub::routes())
        .nest("/reposerver", service(reposerver::routes()))
        .nest("/director", service(director::routes()))
        .nest("/keyserver", service(keyserver::routes()))
        .nest("/deviceregistry", service(registry::routes().merge(registry::own_routes())))
}

/// One of those servers, as it answers under a name of its own.
fn service(routes: Router<Shared>) -> Router<Shared> {
    healths("").nest("/api/v1", routes)
}

/// What scripts ask to see whether a service is up.
fn healths(service: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{service}/health"), get(health))
        .route(&format!("{service}/health/version"), get(health))
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "OK" }))
}

/// Sends requests of the OTA world to its own routes where two worlds share a path: that of devices.
///
/// Its callers show themselves by the header `x-ats-namespace`, by the registry's host name, or by
/// words in the query that only they use.
pub(crate) fn tell_apart<B>(request: &mut Request<B>) {
    const SHARED: &str = "/api/v1/devices";
    const WORDS: [&str; 6] =
        ["offset=", "deviceId=", "nameContains=", "groupId=", "hardwareIds=", "sortBy="];
    if !request.uri().path().starts_with(SHARED) {
        return;
    }
    let host = header(request.headers(), "host").or_else(|| request.uri().host());
    let query = request.uri().query().unwrap_or_default();
    let is_ota = request.headers().contains_key("x-ats-namespace")
        || host.is_some_and(|host| host.starts_with("deviceregistry."))
        || query.split('&').any(|part| WORDS.iter().any(|word| part.starts_with(word)));
    if !is_ota {
        return;
    }
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    // What was a path with a query is one with a prefix too.
    if let Ok(uri) = format!("/deviceregistry{path}").parse() {
        *request.uri_mut() = uri;
    }
}

/// The query of a request, by name; of one that occurs twice the last counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words(HashMap<String, String>);

impl FromRequestParts<Shared> for Words {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        use axum::extract::Query;
        let query: Result<Query<HashMap<String, String>>, _> =
            Query::from_request_parts(parts, fleet).await;
        match query {
            Ok(Query(words)) => Ok(Self(words)),
            Err(rejection) => Err(Error::invalid("the query", rejection.body_text()).into()),
        }
    }
}

impl Words {
    /// The value of this name.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values of this name, which commas separate.
    fn list(&self, name: &str) -> Vec<String> {
        let values = self.get(name).unwrap_or_default().split(',');
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// Which part of a list is wanted.
    fn window(&self) -> Result<Window> {
        let number = |name: &str, usual: u64| match self.get(name) {
            None => Ok(usual),
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| Error::invalid("the query", format!("`{name}` is not a number"))),
        };
        let limit = number("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
        Ok(Window { offset: number("offset", 0)?, limit })
    }
}

/// A part of a list as the OTA world shows it.
fn page(values: impl serde::Serialize, total: u64, window: Window) -> Json<Value> {
    Json(json!({
        "values": values, "total": total, "offset": window.offset, "limit": window.limit,
    }))
}

/// An answer of JSON with a status.
fn answer(status: StatusCode, value: impl serde::Serialize) -> Response {
    (status, Json(value)).into_response()
}

/// The value of a header that is text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Admin {
    /// Lets an operator of this scope do something with the fleet.
    async fn act<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&Fleet, &Operator) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.operator.require(scope)?;
        let operator = self.operator.clone();
        run(&self.fleet, move |fleet| work(fleet, &operator)).await
    }

    /// The whole body as JSON; what other programs add is passed over.
    async fn read<T: DeserializeOwned>(&self, content: Body, what: &'static str) -> Result<T> {
        body::json(&self.fleet, content, what).await
    }

    /// The whole body as JSON, as large as signed metadata may be.
    async fn read_metadata(&self, content: Body) -> Result<Vec<u8>> {
        let limit = self.fleet.config.limits.metadata_bytes;
        let idle = self.fleet.config.body_idle_timeout();
        body::bytes(content, "the metadata", limit, idle).await
    }
}
