//! `/api/v1/tokens`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{ApiToken, NewApiToken, NewToken, Problem as ProblemBody, paths};

use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists one's own tokens; with the scope `users` those of everybody.
#[utoipa::path(get, path = paths::TOKENS, tag = "tokens", operation_id = "list_tokens", responses(
    (status = 200, body = Vec<ApiToken>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    Token(operator): Token,
) -> Result<Json<Vec<ApiToken>>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.tokens_of(&operator)).await?))
}

/// Makes a token of one's own, with scopes that one has. Users only.
#[utoipa::path(post, path = paths::TOKENS, tag = "tokens", operation_id = "create_token",
    request_body = NewApiToken, responses(
    (status = 201, body = NewToken),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    let new: NewApiToken = body::json(&fleet, content, "the token").await?;
    let token = run(&fleet, move |fleet| fleet.create_own_token(&operator, &new)).await?;
    Ok((StatusCode::CREATED, Json(token)))
}

/// Revokes a token of one's own; with the scope `users` any that may do no more than oneself.
#[utoipa::path(delete, path = paths::TOKEN, tag = "tokens", operation_id = "revoke_token",
    params(("name" = String, Path, description = "The token's name")), responses(
    (status = 204, description = "Revoked"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn revoke(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    run(&fleet, move |fleet| fleet.revoke_own_token(&operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
