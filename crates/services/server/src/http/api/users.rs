//! `/api/v1/users`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{
    NewUser, OneTimeCode, OneTimeSecret, Page, PageQuery, PasswordChange, Problem as ProblemBody,
    RecoveryCodes, Scope, User, UserUpdate, paths,
};

use super::{Asked, by_name};
use crate::http::answer::Problem;
use crate::http::callers::{Browser, Token};
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the accounts, by name. Needs the scope `users`.
#[utoipa::path(get, path = paths::USERS, tag = "users", operation_id = "list_users",
    params(PageQuery), responses(
    (status = 200, body = Page<User>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    operator.require(Scope::Users)?;
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.users(operator).list(&after, limit)).await?))
}

/// Makes an account. Needs the scope `users`, and all that the account may do.
#[utoipa::path(post, path = paths::USERS, tag = "users", operation_id = "create_user",
    request_body = NewUser, responses(
    (status = 201, body = User),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<User>), Problem> {
    operator.require(Scope::Users)?;
    let new: NewUser = body::json(&fleet, content, "the user").await?;
    let _permit = fleet.hashing().await?;
    let user = run(&fleet, move |fleet| fleet.users(operator).add(&new)).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Shows one account: one's own, or any with the scope `users`.
#[utoipa::path(get, path = paths::USER, tag = "users", operation_id = "show_user",
    params(("name" = String, Path, description = "The account's name")), responses(
    (status = 200, body = User),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<User>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.users(operator).show(&name)).await?))
}

/// Changes an account's roles, or disables it. Needs the scope `users`, and all that the account
/// may do before and afterwards.
#[utoipa::path(patch, path = paths::USER, tag = "users", operation_id = "update_user",
    params(("name" = String, Path, description = "The account's name")),
    request_body = UserUpdate, responses(
    (status = 200, body = User),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn update(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<User>, Problem> {
    operator.require(Scope::Users)?;
    let update: UserUpdate = body::json(&fleet, content, "the user").await?;
    let user = run(&fleet, move |fleet| fleet.users(operator).update(&name, &update)).await?;
    Ok(Json(user))
}

/// Deletes an account with its sessions and tokens. Needs the scope `users`, and all that the
/// account may do.
#[utoipa::path(delete, path = paths::USER, tag = "users", operation_id = "delete_user",
    params(("name" = String, Path, description = "The account's name")), responses(
    (status = 204, description = "Deleted"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Users)?;
    run(&fleet, move |fleet| fleet.users(operator).delete(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes a password, which ends the account's other sessions. One's own needs the one until
/// now; another's needs the scope `users`, and all that the account may do.
#[utoipa::path(put, path = paths::USER_PASSWORD, tag = "users", operation_id = "set_password",
    params(("name" = String, Path, description = "The account's name")),
    request_body = PasswordChange, responses(
    (status = 204, description = "Changed"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn set_password(
    State(fleet): State<Shared>,
    Browser { operator, session, from }: Browser,
    Names(name): Names<String>,
    content: Body,
) -> Result<StatusCode, Problem> {
    let change: PasswordChange = body::json(&fleet, content, "the password").await?;
    let _permit = fleet.hashing().await?;
    run(&fleet, move |fleet| {
        fleet.change_password(operator, &name, &change, (session.as_ref(), from))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the secret of one's own one-time codes; they are asked for once one was confirmed.
#[utoipa::path(post, path = paths::USER_ONE_TIME_CODES, tag = "users",
    operation_id = "begin_one_time_codes",
    params(("name" = String, Path, description = "One's own account")), responses(
    (status = 200, body = OneTimeSecret),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn begin_one_time(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<OneTimeSecret>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.users(operator).begin_one_time(&name)).await?))
}

/// Confirms one's own one-time codes by one of them; gives the codes that replace one.
#[utoipa::path(put, path = paths::USER_ONE_TIME_CODES, tag = "users",
    operation_id = "confirm_one_time_codes",
    params(("name" = String, Path, description = "One's own account")),
    request_body = OneTimeCode, responses(
    (status = 200, body = RecoveryCodes),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn confirm_one_time(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<RecoveryCodes>, Problem> {
    let code: OneTimeCode = body::json(&fleet, content, "the code").await?;
    let codes =
        run(&fleet, move |fleet| fleet.users(operator).confirm_one_time(&name, &code.code)).await?;
    Ok(Json(codes))
}

/// Asks an account for one-time codes no more: one's own, or with the scope `users` and all that
/// the account may do another's.
#[utoipa::path(delete, path = paths::USER_ONE_TIME_CODES, tag = "users",
    operation_id = "remove_one_time_codes",
    params(("name" = String, Path, description = "The account's name")), responses(
    (status = 204, description = "Removed"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn remove_one_time(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    run(&fleet, move |fleet| fleet.users(operator).remove_one_time(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
