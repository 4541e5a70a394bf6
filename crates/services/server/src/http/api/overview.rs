//! `/api/v1/overview`, and what makes rollouts fail.

use axum::Json;
use axum::extract::State;
use updraft_api::{FailureCluster, Overview, Page, Problem as ProblemBody, paths};

use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, run};

/// The fleet at a glance: states, versions, what needs attention, and what is rolled out.
#[utoipa::path(get, path = paths::OVERVIEW, tag = "status", operation_id = "overview", responses(
    (status = 200, body = Overview),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(State(fleet): State<Shared>, _: Token) -> Result<Json<Overview>, Problem> {
    Ok(Json(run(&fleet, crate::fleet::Fleet::overview).await?))
}

/// Lists why devices of a rollout failed, the most frequent reason first; at most 100 reasons.
#[utoipa::path(get, path = paths::ROLLOUT_FAILURES, tag = "rollouts",
    operation_id = "list_rollout_failures",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Page<FailureCluster>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn failures(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
) -> Result<Json<Page<FailureCluster>>, Problem> {
    let items = run(&fleet, move |fleet| fleet.rollout_failures(&name)).await?;
    Ok(Json(Page { items, next: None }))
}
