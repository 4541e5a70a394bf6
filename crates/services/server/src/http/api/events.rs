//! `/api/v1/events`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use updraft_api::{Event, EventKind, Page, Problem as ProblemBody, paths};
use utoipa::IntoParams;

use super::{Asked, by_number};
use crate::error::Error;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::{Shared, run};
use crate::storage::events::Filter;

/// Which events are wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only those about this device.
    #[serde(default)]
    device: Option<String>,
    /// Only those about this rollout.
    #[serde(default)]
    rollout: Option<String>,
    /// Only those of this kind.
    #[serde(default)]
    kind: Option<EventKind>,
    /// Newest first, and only those before the event of this id; empty for the newest.
    #[serde(default)]
    #[param(pattern = "^[0-9]{0,18}$")]
    before: Option<String>,
    /// The id of the last event seen; absent for the beginning.
    #[serde(default)]
    #[param(pattern = "^[0-9]{0,18}$")]
    after: Option<String>,
    /// At most this many items (1 to 1000, default 100).
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lists what happened: oldest first, or newest first with `before`.
#[utoipa::path(get, path = paths::EVENTS, tag = "events", operation_id = "list_events",
    params(EventQuery), responses(
    (status = 200, body = Page<Event>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<EventQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let (after, limit) = by_number(query.after.as_deref(), query.limit)?;
    let before = match query.before.as_deref() {
        None if query.kind.is_some() => {
            let reason = "`kind` goes with `before`, which gives the newest first";
            return Err(Error::invalid("the query", reason).into());
        }
        None => None,
        Some(_) if query.after.is_some() => {
            let reason = "`after` and `before` do not go together";
            return Err(Error::invalid("the query", reason).into());
        }
        Some("") => Some(u64::MAX),
        Some(before) => Some(by_number(Some(before), None)?.0),
    };
    let page = run(&fleet, move |fleet| {
        let filter = Filter { device: query.device.as_deref(), rollout: query.rollout.as_deref() };
        match before {
            Some(before) => {
                let kind = query.kind.map(crate::storage::values::word);
                fleet.newest_events(filter, kind.as_deref(), before, limit)
            }
            None => fleet.events(filter, after, limit),
        }
    })
    .await?;
    Ok(Json(page))
}
