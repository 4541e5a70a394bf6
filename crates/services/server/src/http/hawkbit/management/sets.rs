//! Distribution sets.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{delete as delete_route, get, post};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{
    ActionId, AssignmentBody, AssignmentResult, DistributionSet, Linked, Metadata,
};

use super::targets::{NewMetadata, Offline};
use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, metadata_list, nothing,
    number, ok,
};
use crate::error::Error;
use crate::fleet::hawkbit::assignment::Assigned;
use crate::fleet::hawkbit::sets::{Cancellation, ModuleId, NewSet, SetChange};
use crate::fleet::hawkbit::statistics::Counted;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::storage::hawkbit::notes::About;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("distributionsets"), get(all).post(make))
        .route(&at("distributionsets/{id}"), get(one).put(change).delete(delete))
        .route(&at("distributionsets/{id}/assignedSM"), get(modules).post(add_modules))
        .route(&at("distributionsets/{id}/assignedSM/{module}"), delete_route(remove_module))
        .route(&at("distributionsets/{id}/assignedTargets"), get(assigned).post(assign))
        .route(&at("distributionsets/{id}/installedTargets"), get(installed))
        .route(&at("distributionsets/{id}/invalidate"), post(invalidate))
        .merge(statistics_routes())
        .route(&at("distributionsets/{id}/metadata"), get(metadata).post(add_metadata))
        .route(
            &at("distributionsets/{id}/metadata/{key}"),
            get(one_metadata).put(put_metadata).delete(delete_metadata),
        )
}

fn statistics_routes() -> Router<Shared> {
    let mut routes = Router::new();
    for (path, counted) in [
        ("", Counted::All),
        ("/rollouts", Counted::Rollouts),
        ("/actions", Counted::Actions),
        ("/autoassignments", Counted::AutoAssignments),
    ] {
        let handler = get(async move |script, id| statistics(counted, script, id).await);
        routes = routes.route(&at(&format!("distributionsets/{{id}}/statistics{path}")), handler);
    }
    routes
}

/// A set as scripts see it.
pub(super) fn shown(
    script: &Script,
    set: DistributionSet,
    in_list: bool,
) -> Linked<DistributionSet> {
    let this = format!("distributionsets/{}", set.id);
    let mut named = vec![("self", this.clone())];
    if !in_list {
        named.extend([
            ("modules", format!("{this}/assignedSM?offset=0&limit=50&sort=id:ASC")),
            ("type", format!("distributionsettypes?q=key=={}", set.set_type)),
            ("metadata", format!("{this}/metadata?offset=0&limit=50")),
            ("statistics", format!("{this}/statistics")),
        ]);
    }
    super::linked(set, script.links(&named))
}

/// What came of assignments.
pub(super) fn assignment_result(script: &Script, results: Vec<Assigned>) -> AssignmentResult {
    let mut all = AssignmentResult {
        already_assigned: 0,
        assigned: 0,
        total: 0,
        assigned_actions: Vec::new(),
    };
    for result in results {
        all.already_assigned = all.already_assigned.saturating_add(result.already);
        all.assigned = all.assigned.saturating_add(result.actions.len() as u64);
        for (id, device) in result.actions {
            let rest = format!("targets/{}/actions/{id}", super::targets::part(&device));
            let links = script.links(&[("self", rest)]);
            all.assigned_actions.push(super::linked(ActionId { id }, links));
        }
    }
    all.total = all.already_assigned.saturating_add(all.assigned);
    all
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (sets, total) = script.run(Scope::Read, move |fleet, _| fleet.sets(&wanted)).await?;
    list((sets.into_iter().map(|one| shown(&script, one, true)).collect(), total))
}

async fn make(script: Script, body: Body) -> Answer {
    let new: OneOrMany<NewSet> = read_json(&script.fleet, body, "the distribution sets").await?;
    let made = script
        .run(Scope::Publish, move |fleet, operator| fleet.make_sets(operator, new.into_vec()))
        .await?;
    created(&made.into_iter().map(|one| shown(&script, one, true)).collect::<Vec<_>>())
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let set = script.run(Scope::Read, move |fleet, _| fleet.set(id)).await?;
    ok(&shown(&script, set, false))
}

async fn change(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let change: SetChange = read_json(&script.fleet, body, "the change").await?;
    let set = script
        .run(Scope::Publish, move |fleet, operator| fleet.change_set(operator, id, &change))
        .await?;
    ok(&shown(&script, set, false))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Publish, move |fleet, operator| fleet.delete_set(operator, id)).await?;
    Ok(nothing())
}

async fn modules(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let set = script.run(Scope::Read, move |fleet, _| fleet.set(id)).await?;
    let total = set.modules.len() as u64;
    let shown = set.modules.into_iter().map(|one| super::modules::shown(&script, one));
    list((shown.collect(), total))
}

async fn add_modules(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let new: OneOrMany<ModuleId> = read_json(&script.fleet, body, "the modules").await?;
    let ids: Vec<i64> = new.into_vec().into_iter().map(|module| module.id).collect();
    script.run(Scope::Publish, move |fleet, _| fleet.add_set_modules(id, &ids)).await?;
    Ok(done())
}

async fn remove_module(script: Script, Path((id, module)): Path<(String, String)>) -> Answer {
    let (id, module) = (number(&id)?, number(&module)?);
    script.run(Scope::Publish, move |fleet, _| fleet.remove_set_module(id, module)).await?;
    Ok(nothing())
}

async fn assign(
    script: Script,
    Path(id): Path<String>,
    Asked(Offline { offline }): Asked<Offline>,
    body: Body,
) -> Answer {
    let id = number(&id)?;
    let wanted: OneOrMany<AssignmentBody<String>> =
        read_json(&script.fleet, body, "the assignment").await?;
    let result = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.assign_set(operator, id, &wanted.into_vec(), offline)
        })
        .await?;
    ok(&assignment_result(&script, vec![result]))
}

async fn assigned(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    targets(script, &id, false, parameters).await
}

async fn installed(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    targets(script, &id, true, parameters).await
}

async fn targets(script: Script, id: &str, installed: bool, parameters: Parameters) -> Answer {
    let id = number(id)?;
    let wanted = parameters.wanted();
    let (targets, total) = script
        .run(Scope::Read, move |fleet, _| fleet.targets_of_set(id, installed, &wanted))
        .await?;
    let shown = targets.into_iter().map(|one| super::targets::shown(&script, one, true));
    list((shown.collect(), total))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invalidation {
    action_cancelation_type: Cancellation,
}

async fn invalidate(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Invalidation { action_cancelation_type } =
        read_json(&script.fleet, body, "the invalidation").await?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.invalidate_set(operator, id, action_cancelation_type)
        })
        .await?;
    Ok(done())
}

async fn metadata(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    metadata_list(script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Set(id))).await?)
}

async fn add_metadata(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let new: OneOrMany<Metadata> = read_json(&script.fleet, body, "the metadata").await?;
    let new = new.into_vec();
    let added = new.clone();
    script
        .run(Scope::Publish, move |fleet, _| fleet.put_notes(&About::Set(id), &new, false))
        .await?;
    created(&added)
}

async fn one_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    let id = number(&id)?;
    let notes = script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Set(id))).await?;
    match notes.into_iter().find(|note| note.key == key) {
        Some(note) => ok(&note),
        None => Err(Error::not_found("metadata", key).into()),
    }
}

async fn put_metadata(
    script: Script,
    Path((id, key)): Path<(String, String)>,
    body: Body,
) -> Answer {
    let id = number(&id)?;
    let new: NewMetadata = read_json(&script.fleet, body, "the metadata").await?;
    let note = Metadata { key, value: new.value, target_visible: None };
    script
        .run(Scope::Publish, move |fleet, _| fleet.put_notes(&About::Set(id), &[note], true))
        .await?;
    Ok(done())
}

async fn delete_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Publish, move |fleet, _| fleet.delete_note(&About::Set(id), &key)).await?;
    Ok(nothing())
}

async fn statistics(counted: Counted, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    ok(&script.run(Scope::Read, move |fleet, _| fleet.set_statistics(id, counted)).await?)
}
