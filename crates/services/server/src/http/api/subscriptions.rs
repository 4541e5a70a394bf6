//! `/api/v1/subscriptions`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{
    CreatedSubscription, NewSubscription, Page, PageQuery, Problem as ProblemBody, Scope,
    Subscription, SubscriptionTest, paths,
};

use super::{Asked, by_name};
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists who is told of events, by name. Needs the scope `admin`.
#[utoipa::path(get, path = paths::SUBSCRIPTIONS, tag = "subscriptions",
    operation_id = "list_subscriptions", params(PageQuery), responses(
    (status = 200, body = Page<Subscription>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Subscription>>, Problem> {
    operator.require(Scope::Admin)?;
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.subscriptions(&after, limit)).await?))
}

/// Makes a webhook, or has a mailbox told, of what happens from now on. Needs the scope `admin`.
#[utoipa::path(post, path = paths::SUBSCRIPTIONS, tag = "subscriptions",
    operation_id = "create_subscription", request_body = NewSubscription, responses(
    (status = 201, body = CreatedSubscription),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<CreatedSubscription>), Problem> {
    operator.require(Scope::Admin)?;
    let new: NewSubscription = body::json(&fleet, content, "the subscription").await?;
    let made = run(&fleet, move |fleet| fleet.create_subscription(&operator, &new)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Shows one subscription. Needs the scope `admin`.
#[utoipa::path(get, path = paths::SUBSCRIPTION, tag = "subscriptions",
    operation_id = "show_subscription",
    params(("name" = String, Path, description = "The subscription's name")), responses(
    (status = 200, body = Subscription),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Subscription>, Problem> {
    operator.require(Scope::Admin)?;
    Ok(Json(run(&fleet, move |fleet| fleet.subscription(&name)).await?))
}

/// Deletes a subscription; nothing more is told. Needs the scope `admin`.
#[utoipa::path(delete, path = paths::SUBSCRIPTION, tag = "subscriptions",
    operation_id = "delete_subscription",
    params(("name" = String, Path, description = "The subscription's name")), responses(
    (status = 204, description = "Deleted"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Admin)?;
    run(&fleet, move |fleet| fleet.delete_subscription(&operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends an event of the kind `subscription_tested`, whatever kinds are wanted, and tells whether it was
/// heard. What is told otherwise goes on as before. Needs the scope `admin`.
#[utoipa::path(post, path = paths::SUBSCRIPTION_TEST, tag = "subscriptions",
    operation_id = "test_subscription",
    params(("name" = String, Path, description = "The subscription's name")), responses(
    (status = 200, body = SubscriptionTest),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn test(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<SubscriptionTest>, Problem> {
    operator.require(Scope::Admin)?;
    Ok(Json(run(&fleet, move |fleet| fleet.test_subscription(&operator, &name)).await?))
}
