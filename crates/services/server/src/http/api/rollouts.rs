//! `/api/v1/rollouts`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{
    NewRollout, Page, PageQuery, Problem as ProblemBody, Rollout, RolloutDevice, RolloutPreview,
    Scope, paths,
};

use super::{Asked, by_name};
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the rollouts, by name.
#[utoipa::path(get, path = paths::ROLLOUTS, tag = "rollouts", operation_id = "list_rollouts",
    params(PageQuery), responses(
    (status = 200, body = Page<Rollout>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Rollout>>, Problem> {
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.rollouts(&after, limit)).await?))
}

/// Creates a rollout, and begins it unless it is to wait; its devices are fixed now. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ROLLOUTS, tag = "rollouts", operation_id = "create_rollout",
    request_body = NewRollout, responses(
    (status = 201, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<Rollout>), Problem> {
    operator.require(Scope::Operate)?;
    let new: NewRollout = body::json(&fleet, content, "the rollout").await?;
    let rollout = run(&fleet, move |fleet| fleet.create_rollout(&operator, &new)).await?;
    Ok((StatusCode::CREATED, Json(rollout)))
}

/// Says what a rollout would do: which devices would get it in which phase, which not and why, and how
/// many bytes they would fetch. Nothing is created.
#[utoipa::path(post, path = paths::ROLLOUT_PREVIEW, tag = "rollouts",
    operation_id = "preview_rollout", request_body = NewRollout, responses(
    (status = 200, body = RolloutPreview, description = "All devices, on one page"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn preview(
    State(fleet): State<Shared>,
    _: Token,
    content: Body,
) -> Result<Json<RolloutPreview>, Problem> {
    let new: NewRollout = body::json(&fleet, content, "the rollout").await?;
    Ok(Json(run(&fleet, move |fleet| fleet.preview_rollout(&new)).await?))
}

/// Shows one rollout.
#[utoipa::path(get, path = paths::ROLLOUT, tag = "rollouts", operation_id = "show_rollout",
    params(("name" = String, Path, description = "The rollout's name")), responses(
    (status = 200, body = Rollout),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
) -> Result<Json<Rollout>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.rollout(&name)).await?))
}

/// Lists a rollout's devices with their states, by id.
#[utoipa::path(get, path = paths::ROLLOUT_DEVICES, tag = "rollouts",
    operation_id = "list_rollout_devices",
    params(("name" = String, Path, description = "The rollout's name"), PageQuery), responses(
    (status = 200, body = Page<RolloutDevice>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn devices(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<RolloutDevice>>, Problem> {
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.rollout_devices(&name, &after, limit)).await?))
}
