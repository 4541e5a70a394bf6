//! `/api/v1/groups`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{
    DeviceSummary, Group, GroupMembers, GroupUpdate, NewGroup, Page, PageQuery,
    Problem as ProblemBody, Scope, paths,
};

use super::{Asked, by_name};
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the groups, by name.
#[utoipa::path(get, path = paths::GROUPS, tag = "groups", operation_id = "list_groups",
    params(PageQuery), responses(
    (status = 200, body = Page<Group>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Group>>, Problem> {
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.groups(&after, limit)).await?))
}

/// Makes a group. Needs the scope `operate`.
#[utoipa::path(post, path = paths::GROUPS, tag = "groups", operation_id = "create_group",
    request_body = NewGroup, responses(
    (status = 201, body = Group),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(fleet): State<Shared>,
    Token(operator): Token,
    content: Body,
) -> Result<(StatusCode, Json<Group>), Problem> {
    operator.require(Scope::Operate)?;
    let new: NewGroup = body::json(&fleet, content, "the group").await?;
    let group = run(&fleet, move |fleet| fleet.create_group(&operator, &new)).await?;
    Ok((StatusCode::CREATED, Json(group)))
}

/// Shows one group.
#[utoipa::path(get, path = paths::GROUP, tag = "groups", operation_id = "show_group",
    params(("name" = String, Path, description = "The group's name")), responses(
    (status = 200, body = Group),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
) -> Result<Json<Group>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.group(&name)).await?))
}

/// Changes a group's description. Needs the scope `operate`.
#[utoipa::path(put, path = paths::GROUP, tag = "groups", operation_id = "update_group",
    params(("name" = String, Path, description = "The group's name")),
    request_body = GroupUpdate, responses(
    (status = 200, body = Group),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn update(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<Group>, Problem> {
    operator.require(Scope::Operate)?;
    let update: GroupUpdate = body::json(&fleet, content, "the group").await?;
    let group =
        run(&fleet, move |fleet| fleet.describe_group(&operator, &name, &update.description))
            .await?;
    Ok(Json(group))
}

/// Deletes a group; its devices stay. Needs the scope `operate`.
#[utoipa::path(delete, path = paths::GROUP, tag = "groups", operation_id = "delete_group",
    params(("name" = String, Path, description = "The group's name")), responses(
    (status = 204, description = "Deleted"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Operate)?;
    run(&fleet, move |fleet| fleet.delete_group(&operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the devices of a group, by id.
#[utoipa::path(get, path = paths::GROUP_DEVICES, tag = "groups", operation_id = "list_group_devices",
    params(("name" = String, Path, description = "The group's name"), PageQuery), responses(
    (status = 200, body = Page<DeviceSummary>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn devices(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<DeviceSummary>>, Problem> {
    let (after, limit) = by_name(&query)?;
    Ok(Json(run(&fleet, move |fleet| fleet.devices(Some(&name), &after, limit)).await?))
}

/// Puts devices into a group and takes others out, all or none. Needs the scope `operate`.
#[utoipa::path(post, path = paths::GROUP_DEVICES, tag = "groups",
    operation_id = "change_group_devices",
    params(("name" = String, Path, description = "The group's name")),
    request_body = GroupMembers, responses(
    (status = 200, body = Group),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn change_members(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<Json<Group>, Problem> {
    operator.require(Scope::Operate)?;
    let members: GroupMembers = body::json(&fleet, content, "the list of devices").await?;
    Ok(Json(run(&fleet, move |fleet| fleet.change_members(&operator, &name, &members)).await?))
}

/// Puts a device into a group. Needs the scope `operate`.
#[utoipa::path(put, path = paths::GROUP_DEVICE, tag = "groups", operation_id = "add_group_device",
    params(("name" = String, Path, description = "The group's name"),
        ("id" = String, Path, description = "The device's id")), responses(
    (status = 204, description = "It is in the group"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn add_device(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((name, id)): Names<(String, String)>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Operate)?;
    run(&fleet, move |fleet| fleet.add_to_group(&operator, &name, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a device out of a group. Needs the scope `operate`.
#[utoipa::path(delete, path = paths::GROUP_DEVICE, tag = "groups",
    operation_id = "remove_group_device",
    params(("name" = String, Path, description = "The group's name"),
        ("id" = String, Path, description = "The device's id")), responses(
    (status = 204, description = "It is not in the group"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn remove_device(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((name, id)): Names<(String, String)>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Operate)?;
    run(&fleet, move |fleet| fleet.remove_from_group(&operator, &name, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
