//! `/api/v1/rollouts/NAME/…`: what operators do with a rollout.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use updraft_api::{Problem as ProblemBody, Remark, Rollout, Scope, paths};

use crate::fleet::operators::Operator;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Hands out no new assignments until resumed. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_PAUSE, tag = "rollouts",
    operation_id = "pause_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn pause(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.pause_rollout(&operator, &name)).await?))
}

/// Goes on after a pause. Where the rollout paused because of failures, those that there are count no
/// more. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_RESUME, tag = "rollouts",
    operation_id = "resume_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn resume(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.resume_rollout(&operator, &name)).await?))
}

/// Ends a rollout and takes back what no device has started. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_STOP, tag = "rollouts",
    operation_id = "stop_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn stop(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.stop_rollout(&operator, &name)).await?))
}

/// Begins a rollout that waits to be started, or for its time. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_START, tag = "rollouts",
    operation_id = "start_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn start(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.start_rollout(&operator, &name)).await?))
}

/// Begins the next phase of a rollout that is running, whether or not the present one is good enough
/// or old enough. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_ADVANCE, tag = "rollouts",
    operation_id = "advance_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn advance(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.advance_rollout(&operator, &name)).await?))
}

/// Gives the devices of a rollout that failed another attempt, and those from which it was taken back
/// when it was stopped; an ended rollout goes on with them. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_RETRY, tag = "rollouts",
    operation_id = "retry_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn retry(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.retry_rollout(&operator, &name)).await?))
}

/// Gives the devices that have a rollout's release back what they had before, be the rollout under way
/// or over. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_ROLLBACK, tag = "rollouts",
    operation_id = "rollback_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn rollback(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    operator.require(Scope::Operate)?;
    Ok(Json(run(&fleet, move |fleet| fleet.roll_back_rollout(&operator, &name)).await?))
}

/// Whoever may steer rollouts may decide on them, and so may somebody who does nothing else.
fn require_decider(operator: &Operator) -> crate::error::Result<()> {
    if operator.allows(Scope::Approve) { Ok(()) } else { operator.require(Scope::Operate) }
}

/// Approves of a rollout that waits for it; it begins, or waits for its time. Whoever created it cannot.
/// Needs the scope `approve` or `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_APPROVE, tag = "rollouts",
    operation_id = "approve_rollout", request_body = Remark,
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn approve(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<Rollout>, Problem> {
    require_decider(&operator)?;
    let Remark { remark } = body::json(&fleet, content, "the remark").await?;
    Ok(Json(
        run(&fleet, move |fleet| fleet.decide_rollout(&operator, &name, true, remark.as_deref()))
            .await?,
    ))
}

/// Denies a rollout that waits for an approval; it never begins. Whoever created it cannot.
/// Needs the scope `approve` or `operate`.
#[utoipa::path(post, path = paths::ROLLOUT_DENY, tag = "rollouts",
    operation_id = "deny_rollout", request_body = Remark,
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn deny(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<Rollout>, Problem> {
    require_decider(&operator)?;
    let Remark { remark } = body::json(&fleet, content, "the remark").await?;
    Ok(Json(
        run(&fleet, move |fleet| fleet.decide_rollout(&operator, &name, false, remark.as_deref()))
            .await?,
    ))
}
