//! `/api/v1/device_groups`: groups, whose names are their ids here.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::{Group, NewGroup, Scope, page as pages};

use super::{Words, answer, page};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::ota::standing_orders::Follows;
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
    expression: Option<String>,
}

pub(super) async fn create(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let request: GroupRequest = admin.read(content, "the group").await?;
    let GroupRequest { name, group_type, expression } = request;
    let expression = match (group_type.as_deref().unwrap_or("static"), expression) {
        ("static", None) => None,
        ("dynamic", Some(expression)) => Some(expression),
        _ => {
            let reason = "a dynamic one has an expression, and a static one has none";
            return Err(Error::invalid("the group", reason).into());
        }
    };
    let id = name.clone();
    admin
        .act(Scope::Operate, move |fleet, operator| {
            if let Some(expression) = expression {
                return fleet.create_dynamic_group(operator, &name, &expression);
            }
            let new = NewGroup { name, description: String::new(), devices: Vec::new() };
            fleet.create_group(operator, &new).map(drop)
        })
        .await?;
    Ok(answer(StatusCode::CREATED, id))
}

fn shown(group: &Group, expressions: &BTreeMap<String, String>) -> Value {
    let expression = expressions.get(&group.name);
    json!({
        "id": group.name,
        "groupName": group.name,
        "namespace": "default",
        "createdAt": group.created_at.to_string(),
        "groupType": if expression.is_some() { "dynamic" } else { "static" },
        "expression": expression,
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

pub(super) async fn list(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let (groups, expressions) =
        admin.act(Scope::Read, |fleet, _| Ok((all(fleet)?, fleet.group_expressions()?))).await?;
    let found = groups.iter().filter(|group| group.name.contains(&contains));
    let found = found.map(|group| shown(group, &expressions));
    let (groups, total) = window.cut(found.collect());
    Ok(page(groups, total, window))
}

pub(super) async fn show(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let (group, expressions) = admin
        .act(Scope::Read, move |fleet, _| Ok((fleet.group(&name)?, fleet.group_expressions()?)))
        .await?;
    Ok(Json(shown(&group, &expressions)))
}

pub(super) async fn delete(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, operator| fleet.delete_group(operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn members(fleet: &Fleet, name: &str) -> Result<Vec<String>> {
    fleet.group(name)?;
    fleet
        .database()
        .read("list a group's devices", |reader| crate::storage::groups::devices(reader, name))
}

pub(super) async fn devices(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let ids = admin.act(Scope::Read, move |fleet, _| members(fleet, &name)).await?;
    let (ids, total) = window.cut(ids);
    Ok(page(ids, total, window))
}

pub(super) async fn count(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<usize>, GatewayError> {
    let ids = admin.act(Scope::Read, move |fleet, _| members(fleet, &name)).await?;
    Ok(Json(ids.len()))
}

pub(super) async fn add(
    admin: Admin,
    GatewayNames((name, id)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, operator| fleet.add_to_group(operator, &name, &id))
        .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn remove(
    admin: Admin,
    GatewayNames((name, id)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, operator| fleet.remove_from_group(operator, &name, &id))
        .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn auto_updates(
    admin: Admin,
    GatewayNames(name): GatewayNames<String>,
) -> Result<Json<Vec<String>>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.group_auto_updates(&name)).await?))
}

pub(super) async fn follow(
    admin: Admin,
    GatewayNames(names): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    set_auto_update(admin, names, Follows::Newest).await
}

pub(super) async fn unfollow(
    admin: Admin,
    GatewayNames(names): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    set_auto_update(admin, names, Follows::Nothing).await
}

async fn set_auto_update(
    admin: Admin,
    (name, package): (String, String),
    follows: Follows,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, _| fleet.set_group_auto_update(&name, &package, follows))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
