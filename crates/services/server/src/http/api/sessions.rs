//! `/api/v1/users/NAME/sessions`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{OpenSession, Problem as ProblemBody, paths};

use crate::http::answer::Problem;
use crate::http::callers::{Browser, Token};
use crate::http::names::Names;
use crate::http::{Shared, run};

/// Lists the sessions of an account that are good, the newest first: one's own, or anybody's with the
/// scope `users`.
#[utoipa::path(get, path = paths::USER_SESSIONS, tag = "users", operation_id = "list_sessions",
    params(("name" = String, Path, description = "The account's name")), responses(
    (status = 200, body = Vec<OpenSession>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    Browser { operator, session, .. }: Browser,
    Names(name): Names<String>,
) -> Result<Json<Vec<OpenSession>>, Problem> {
    let found = run(&fleet, move |fleet| fleet.sessions_of(&operator, &name, session.as_ref()));
    Ok(Json(found.await?))
}

/// Ends a session: one's own, or, with the scope `users` and all that the account may do, anybody's.
#[utoipa::path(delete, path = paths::USER_SESSION, tag = "users", operation_id = "end_session",
    params(("name" = String, Path, description = "The account's name"),
        ("id" = String, Path, description = "The session's `id` in the list")), responses(
    (status = 204, description = "Ended"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn end(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((name, id)): Names<(String, String)>,
) -> Result<StatusCode, Problem> {
    run(&fleet, move |fleet| fleet.end_session(operator, &name, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
