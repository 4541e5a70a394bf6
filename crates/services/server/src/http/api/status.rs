//! `/api/v1/status`.

use axum::Json;
use axum::extract::State;
use updraft_api::{Problem as ProblemBody, Status, paths};

use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::{Shared, run};

/// What the server is and how it is doing.
#[utoipa::path(get, path = paths::STATUS, tag = "status", operation_id = "status", responses(
    (status = 200, body = Status),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    Token(operator): Token,
) -> Result<Json<Status>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.status(&operator)).await?))
}
