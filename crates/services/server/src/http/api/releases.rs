//! `/api/v1/releases`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{NewRelease, Page, PageQuery, Problem as ProblemBody, Release, paths};

use super::{Asked, by_name};
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the releases, by name.
#[utoipa::path(get, path = paths::RELEASES, tag = "releases", operation_id = "list_releases",
    params(PageQuery), responses(
    (status = 200, body = Page<Release>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Release>>, Problem> {
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.releases(&after, limit)).await?))
}

/// Makes a release; it never changes. Each target must be in the signed targets of the Image
/// repository, and an OSTree target's commit must have been uploaded. Needs the scope `publish`.
#[utoipa::path(post, path = paths::RELEASES, tag = "releases", operation_id = "create_release",
    request_body = NewRelease, responses(
    (status = 201, body = Release),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<Release>), Problem> {
    operator.require_upload()?;
    let new: NewRelease = body::json(&fleet, content, "the release").await?;
    let release = run(&fleet, move |fleet| {
        fleet.check_release(&operator, &new)?;
        fleet.create_release(&operator, &new)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(release)))
}

/// Shows one release.
#[utoipa::path(get, path = paths::RELEASE, tag = "releases", operation_id = "show_release",
    params(("name" = String, Path, description = "The release's name")), responses(
    (status = 200, body = Release),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
) -> Result<Json<Release>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.release(&name)).await?))
}
