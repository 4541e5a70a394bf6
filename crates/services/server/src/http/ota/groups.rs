//! `/api/v1/device_groups`: groups, whose names are their ids here.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::{Group, NewGroup, Scope, page as pages};

use super::{Words, act, answer, page, read};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::http::Shared;
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;

/// The body of `POST device_groups`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRequest {
    name: String,
    #[serde(default)]
    group_type: Option<String>,
    #[serde(default)]
    expression: Option<Value>,
}

pub(super) async fn create(
    State(fleet): State<Shared>,
    admin: Admin,
    content: Body,
) -> Result<Response, GatewayError> {
    let request: GroupRequest = read(&fleet, content, "the group").await?;
    let is_static = request.group_type.as_deref().is_none_or(|kind| kind == "static");
    if !is_static || request.expression.is_some_and(|expression| !expression.is_null()) {
        let reason = "groups are lists of devices here; make it a static one";
        return Err(Error::invalid("the group", reason).into());
    }
    let new = NewGroup { name: request.name, description: String::new(), devices: Vec::new() };
    let group = act(&fleet, admin, Scope::Operate, move |fleet, operator| {
        fleet.create_group(operator, &new)
    })
    .await?;
    Ok(answer(StatusCode::CREATED, group.name))
}

fn shown(group: &Group) -> Value {
    json!({
        "id": group.name,
        "groupName": group.name,
        "namespace": "default",
        "createdAt": group.created_at.to_string(),
        "groupType": "static",
        "expression": null,
    })
}

fn all(fleet: &Fleet) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut after = String::new();
    loop {
        let page = fleet.groups(&after, pages::MAX_LIMIT)?;
        groups.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return Ok(groups),
        }
    }
}

pub(super) async fn list(
    State(fleet): State<Shared>,
    admin: Admin,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let groups = act(&fleet, admin, Scope::Read, |fleet, _| all(fleet)).await?;
    let found = groups.iter().filter(|group| group.name.contains(&contains)).map(shown);
    let (groups, total) = window.cut(found.collect());
    Ok(page(groups, total, window))
}

pub(super) async fn show(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let group = act(&fleet, admin, Scope::Read, move |fleet, _| fleet.group(&name)).await?;
    Ok(Json(shown(&group)))
}

pub(super) async fn delete(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    act(&fleet, admin, Scope::Operate, move |fleet, operator| fleet.delete_group(operator, &name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn members(fleet: &Fleet, name: &str) -> Result<Vec<String>> {
    fleet.group(name)?;
    fleet
        .database()
        .read("list a group's devices", |reader| crate::storage::groups::devices(reader, name))
}

pub(super) async fn devices(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let ids = act(&fleet, admin, Scope::Read, move |fleet, _| members(fleet, &name)).await?;
    let (ids, total) = window.cut(ids);
    Ok(page(ids, total, window))
}

pub(super) async fn count(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<usize>, GatewayError> {
    let ids = act(&fleet, admin, Scope::Read, move |fleet, _| members(fleet, &name)).await?;
    Ok(Json(ids.len()))
}

pub(super) async fn add(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames((name, id)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    act(&fleet, admin, Scope::Operate, move |fleet, operator| {
        fleet.add_to_group(operator, &name, &id)
    })
    .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn remove(
    State(fleet): State<Shared>,
    admin: Admin,
    GatewayNames((name, id)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    act(&fleet, admin, Scope::Operate, move |fleet, operator| {
        fleet.remove_from_group(operator, &name, &id)
    })
    .await?;
    Ok(StatusCode::OK)
}
