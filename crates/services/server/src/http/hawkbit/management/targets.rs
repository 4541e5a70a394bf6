//! Targets: devices that speak DDI.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use updraft_api::Scope;
use updraft_hawkbit::ddi::{ActivateAutoConfirm, Link};
use updraft_hawkbit::management::{AssignmentBody, Linked, Metadata, Target};

use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, metadata_list, nothing,
    ok,
};
use crate::error::Error;
use crate::error::hawkbit::Trouble;
use crate::fleet::hawkbit::sets::ModuleId;
use crate::fleet::hawkbit::targets::{NewTarget, TargetChange};
use crate::http::Shared;
use crate::http::hawkbit::answer::{read_json, read_optional};
use crate::storage::hawkbit::notes::About;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("targets"), get(all).post(make))
        .route(&at("targets/{id}"), get(one).put(change).delete(delete))
        .route(&at("targets/{id}/attributes"), get(attributes))
        .route(&at("targets/{id}/assignedDS"), get(assigned).post(assign))
        .route(&at("targets/{id}/installedDS"), get(installed))
        .route(&at("targets/{id}/metadata"), get(metadata).post(add_metadata))
        .route(
            &at("targets/{id}/metadata/{key}"),
            get(one_metadata).put(put_metadata).delete(delete_metadata),
        )
        .route(&at("targets/{id}/targettype"), post(set_type).delete(remove_type))
        .route(&at("targets/{id}/autoConfirm"), get(auto_confirm))
        .route(&at("targets/{id}/autoConfirm/activate"), post(activate))
        .route(&at("targets/{id}/autoConfirm/deactivate"), post(deactivate))
}

/// A name as one part of a path.
pub(super) fn part(id: &str) -> String {
    crate::fleet::hawkbit::poll::path_part(id)
}

/// A target as scripts see it; its token only for those who may make targets.
pub(super) fn shown(script: &Script, mut target: Target, in_list: bool) -> Linked<Target> {
    if script.operator.require(Scope::Operate).is_err() {
        target.security_token = None;
    }
    let this = format!("targets/{}", part(&target.controller_id));
    let mut named = vec![("self", this.clone())];
    if !in_list {
        named.extend([
            ("assignedDS", format!("{this}/assignedDS")),
            ("installedDS", format!("{this}/installedDS")),
            ("attributes", format!("{this}/attributes")),
            ("actions", format!("{this}/actions?offset=0&limit=50&sort=id:DESC")),
            ("metadata", format!("{this}/metadata?offset=0&limit=50")),
            ("autoConfirm", format!("{this}/autoConfirm")),
        ]);
        if let Some(target_type) = target.target_type {
            named.push(("targetType", format!("targettypes/{target_type}")));
        }
    }
    super::linked(target, script.links(&named))
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (targets, total) = script.run(Scope::Read, move |fleet, _| fleet.targets(&wanted)).await?;
    list((targets.into_iter().map(|one| shown(&script, one, true)).collect(), total))
}

async fn make(script: Script, body: Body) -> Answer {
    let new: OneOrMany<NewTarget> = read_json(&script.fleet, body, "the targets").await?;
    let made = script
        .run(Scope::Operate, move |fleet, operator| fleet.make_targets(operator, new.into_vec()))
        .await?;
    created(&made.into_iter().map(|one| shown(&script, one, true)).collect::<Vec<_>>())
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let target = script.run(Scope::Read, move |fleet, _| fleet.target(&id)).await?;
    ok(&shown(&script, target, false))
}

async fn change(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let change: TargetChange = read_json(&script.fleet, body, "the change").await?;
    let target = script
        .run(Scope::Operate, move |fleet, operator| fleet.change_target(operator, &id, change))
        .await?;
    ok(&shown(&script, target, false))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    script.run(Scope::Operate, move |fleet, operator| fleet.delete_target(operator, &id)).await?;
    Ok(nothing())
}

async fn set_type(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let ModuleId { id: target_type } = read_json(&script.fleet, body, "the target type").await?;
    if target_type < 1 {
        return Err(Error::hawkbit(Trouble::Value, "a target type's id must be at least 1").into());
    }
    of_type(script, id, target_type).await?;
    Ok(done())
}

async fn remove_type(script: Script, Path(id): Path<String>) -> Answer {
    of_type(script, id, NO_TYPE).await?;
    Ok(nothing())
}

/// The number that stands for no type.
const NO_TYPE: i64 = -1;

async fn of_type(script: Script, id: String, target_type: i64) -> Result<(), Error> {
    let change = TargetChange { target_type: Some(target_type), ..TargetChange::default() };
    script
        .run(Scope::Operate, move |fleet, operator| fleet.change_target(operator, &id, change))
        .await
        .map(drop)
}

async fn attributes(script: Script, Path(id): Path<String>) -> Answer {
    let attributes = script.run(Scope::Read, move |fleet, _| fleet.target_attributes(&id)).await?;
    if attributes.is_empty() {
        return Ok(nothing());
    }
    ok(&attributes)
}

async fn assigned(script: Script, Path(id): Path<String>) -> Answer {
    set_of(script, id, false).await
}

async fn installed(script: Script, Path(id): Path<String>) -> Answer {
    set_of(script, id, true).await
}

async fn set_of(script: Script, id: String, installed: bool) -> Answer {
    let set = script.run(Scope::Read, move |fleet, _| fleet.set_of_target(&id, installed)).await?;
    match set {
        Some(set) => ok(&super::sets::shown(&script, set, false)),
        None => Ok(nothing()),
    }
}

#[derive(Deserialize)]
pub(super) struct Offline {
    #[serde(default)]
    pub(super) offline: bool,
}

async fn assign(
    script: Script,
    Path(id): Path<String>,
    Asked(Offline { offline }): Asked<Offline>,
    body: Body,
) -> Answer {
    let wanted: OneOrMany<AssignmentBody<i64>> =
        read_json(&script.fleet, body, "the assignment").await?;
    let target = id.clone();
    let results = script
        .run(Scope::Operate, move |fleet, operator| {
            // So that a target that there is not is told as that.
            fleet.target(&target)?;
            wanted
                .into_vec()
                .into_iter()
                .map(|one| {
                    let set = one.id;
                    let one = AssignmentBody {
                        id: target.clone(),
                        kind: one.kind,
                        forcetime: one.forcetime,
                        weight: one.weight,
                        confirmation_required: one.confirmation_required,
                        maintenance_window: one.maintenance_window,
                    };
                    fleet.assign_set(operator, set, &[one], offline)
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    ok(&super::sets::assignment_result(&script, results))
}

async fn metadata(script: Script, Path(id): Path<String>) -> Answer {
    metadata_list(script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Device(&id))).await?)
}

async fn add_metadata(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let new: OneOrMany<Metadata> = read_json(&script.fleet, body, "the metadata").await?;
    let new = new.into_vec();
    let added = new.clone();
    script
        .run(Scope::Operate, move |fleet, _| fleet.put_notes(&About::Device(&id), &new, false))
        .await?;
    created(&added)
}

async fn one_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    let notes = script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Device(&id))).await?;
    match notes.into_iter().find(|note| note.key == key) {
        Some(note) => ok(&note),
        None => Err(Error::not_found("metadata", key).into()),
    }
}

#[derive(Deserialize)]
pub(super) struct NewMetadata {
    pub(super) value: String,
    #[serde(default, rename = "targetVisible")]
    pub(super) target_visible: Option<bool>,
}

async fn put_metadata(
    script: Script,
    Path((id, key)): Path<(String, String)>,
    body: Body,
) -> Answer {
    let new: NewMetadata = read_json(&script.fleet, body, "the metadata").await?;
    let note = Metadata { key, value: new.value, target_visible: None };
    script
        .run(Scope::Operate, move |fleet, _| fleet.put_notes(&About::Device(&id), &[note], true))
        .await?;
    Ok(done())
}

async fn delete_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    script
        .run(Scope::Operate, move |fleet, _| fleet.delete_note(&About::Device(&id), &key))
        .await?;
    Ok(nothing())
}

async fn auto_confirm(script: Script, Path(id): Path<String>) -> Answer {
    let of = id.clone();
    let found = script.run(Scope::Read, move |fleet, _| fleet.auto_confirm(&of)).await?;
    let verb = if found.is_some() { "deactivate" } else { "activate" };
    let href = format!("targets/{}/autoConfirm/{verb}", part(&id));
    let link: Link = script.link(&href);
    let mut body = json!({ "active": found.is_some(), "_links": { (verb): link } });
    if let (Some(found), Some(object)) = (found, body.as_object_mut()) {
        object.insert("initiator".to_owned(), json!(found.initiator));
        object.insert("remark".to_owned(), json!(found.remark));
        object.insert("activatedAt".to_owned(), json!(found.activated_at));
    }
    ok(&body)
}

async fn activate(
    script: Script,
    Path(id): Path<String>,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Answer {
    let who: ActivateAutoConfirm =
        read_optional(&script.fleet, &headers, body, "who confirms everything").await?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.activate_auto_confirm(&id, who, &operator.actor())
        })
        .await?;
    Ok(done())
}

async fn deactivate(script: Script, Path(id): Path<String>) -> Answer {
    script.run(Scope::Operate, move |fleet, _| fleet.deactivate_auto_confirm(&id)).await?;
    Ok(done())
}
