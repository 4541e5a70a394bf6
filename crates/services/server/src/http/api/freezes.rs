//! `/api/v1/freezes`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{Freeze, NewFreeze, Page, Problem as ProblemBody, Scope, paths};

use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the times in which rollouts tell devices nothing, by name.
#[utoipa::path(get, path = paths::FREEZES, tag = "rollouts", operation_id = "list_freezes",
    responses(
    (status = 200, body = Page<Freeze>, description = "All freezes, on one page"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
) -> Result<Json<Page<Freeze>>, Problem> {
    let items = run(&fleet, crate::fleet::Fleet::freezes).await?;
    Ok(Json(Page { items, next: None }))
}

/// Sets a time in which rollouts tell devices nothing new; it takes the place of one of the same name.
/// Needs the scope `operate`.
#[utoipa::path(put, path = paths::FREEZE, tag = "rollouts", operation_id = "put_freeze",
    params(("name" = String, Path, description = "The freeze's name")),
    request_body = NewFreeze, responses(
    (status = 200, body = Freeze),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<Freeze>, Problem> {
    operator.require(Scope::Operate)?;
    let new: NewFreeze = body::json(&fleet, content, "the freeze").await?;
    Ok(Json(run(&fleet, move |fleet| fleet.put_freeze(&operator, &name, &new)).await?))
}

/// Removes a freeze. Needs the scope `operate`.
#[utoipa::path(delete, path = paths::FREEZE, tag = "rollouts", operation_id = "delete_freeze",
    params(("name" = String, Path, description = "The freeze's name")), responses(
    (status = 204),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Operate)?;
    run(&fleet, move |fleet| fleet.remove_freeze(&operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
