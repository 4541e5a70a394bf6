//! hawkBit's Management API, `/rest/v1`, as scripts use it.

mod actions;
mod auto_assignments;
mod configuration;
mod filters;
mod groups;
mod modules;
mod rollouts;
mod sets;
mod tags;
mod targets;
mod types;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use updraft_api::Scope;
use updraft_hawkbit::ddi::{Link, Links};
use updraft_hawkbit::management::{Linked, List};

use super::Refusal;
use super::answer::Form;
use super::ddi::{Answer, number};
use super::device::Caller;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::hawkbit::Wanted;
use crate::fleet::operators::Operator;
use crate::http::{Shared, callers};

const ROOT: &str = "/rest/v1";

/// All routes of the API.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .merge(targets::routes())
        .merge(modules::routes())
        .merge(types::routes())
        .merge(sets::routes())
        .merge(actions::routes())
        .merge(configuration::routes())
        .merge(tags::routes())
        .merge(filters::routes())
        .merge(auto_assignments::routes())
        .merge(groups::routes())
        .merge(rollouts::routes())
}

/// A path below the root.
fn at(rest: &str) -> String {
    format!("{ROOT}/{rest}")
}

/// An operator who calls, and how the operator reaches the server.
#[derive(Clone)]
struct Script {
    fleet: Shared,
    operator: Operator,
    /// `https://host/rest/v1`.
    root: String,
}

impl FromRequestParts<Shared> for Script {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Refusal> {
        let operator = callers::operator(parts, fleet).await?;
        let caller = Caller::from_request_parts(parts, fleet).await?;
        let root = format!("{}{ROOT}", caller.origin);
        Ok(Self { fleet: fleet.clone(), operator, root })
    }
}

impl Script {
    /// Refuses what the operator's token does not allow, and does the rest where waiting is allowed.
    async fn run<T: Send + 'static>(
        &self,
        needed: Scope,
        work: impl FnOnce(&crate::fleet::Fleet, &Operator) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.operator.require(needed)?;
        let operator = self.operator.clone();
        crate::http::run(&self.fleet, move |fleet| work(fleet, &operator)).await
    }

    /// A link below the root.
    fn link(&self, rest: &str) -> Link {
        Link { href: format!("{}/{rest}", self.root) }
    }

    /// Links by name.
    fn links(&self, named: &[(&str, String)]) -> Links {
        named.iter().map(|(name, rest)| ((*name).to_owned(), self.link(rest))).collect()
    }
}

/// The parameters of a list.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    q: Option<String>,
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    offset: Option<u32>,
    #[serde(default)]
    limit: Option<u32>,
}

impl Parameters {
    fn wanted(self) -> Wanted {
        Wanted {
            query: self.q,
            sort: self.sort,
            offset: self.offset.unwrap_or(0),
            limit: self.limit,
        }
    }
}

/// The query of a request; one that cannot be read is refused in the words of this world.
struct Asked<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Self(query.0)),
            Err(error) => Err(Refusal(Error::hawkbit(Trouble::Value, error.body_text()))),
        }
    }
}

fn ok<T: Serialize>(content: &T) -> Answer {
    Ok(Form::Hal.answer(content)?)
}

fn created<T: Serialize>(content: &T) -> Answer {
    let mut response = Form::Hal.answer(content)?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn done() -> Response {
    StatusCode::OK.into_response()
}

fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn list<T: Serialize>((content, total): (Vec<T>, u64)) -> Answer {
    let size = content.len() as u64;
    ok(&List { content, total, size })
}

/// A body that is one thing, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(many) => many,
            Self::One(one) => vec![one],
        }
    }
}

/// All metadata of something, as a list.
fn metadata_list(notes: Vec<updraft_hawkbit::management::Metadata>) -> Answer {
    let total = notes.len() as u64;
    list((notes, total))
}

fn linked<T>(content: T, links: Links) -> Linked<T> {
    Linked { content, links }
}

/// The user that scripts see themselves as.
fn user_info(fleet: &Shared, operator: &Operator) -> serde_json::Value {
    json!({ "tenant": fleet.config.tenant.name, "username": operator.name })
}
