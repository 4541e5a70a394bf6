//! Target filters: queries with a name, and what devices are told because they meet them.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{ActionKind, Linked, TargetFilter};

use super::{Answer, Asked, Parameters, Script, at, created, list, nothing, number, ok};
use crate::fleet::hawkbit::auto_assignments::{Told, Whom};
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("targetfilters"), get(all).post(make))
        .route(&at("targetfilters/{id}"), get(one).put(change).delete(delete))
        .route(
            &at("targetfilters/{id}/autoAssignDS"),
            get(auto_assigned).post(auto_assign).delete(stop),
        )
        .route(&at("distributionsets/{id}/autoAssignTargetFilters"), get(of_set))
}

fn shown(script: &Script, filter: TargetFilter) -> Linked<TargetFilter> {
    let this = format!("targetfilters/{}", filter.id);
    let links =
        script.links(&[("self", this.clone()), ("autoAssignDS", format!("{this}/autoAssignDS"))]);
    super::linked(filter, links)
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (filters, total) = script.run(Scope::Read, move |fleet, _| fleet.filters(&wanted)).await?;
    list((filters.into_iter().map(|one| shown(&script, one)).collect(), total))
}

async fn of_set(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let id = number(&id)?;
    let wanted = parameters.wanted();
    let (filters, total) =
        script.run(Scope::Read, move |fleet, _| fleet.filters_of_set(id, &wanted)).await?;
    list((filters.into_iter().map(|one| shown(&script, one)).collect(), total))
}

#[derive(Deserialize)]
struct NewFilter {
    name: String,
    query: String,
}

async fn make(script: Script, body: Body) -> Answer {
    let new: NewFilter = read_json(&script.fleet, body, "the filter").await?;
    let made = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.make_filter(operator, &new.name, &new.query)
        })
        .await?;
    created(&shown(&script, made))
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let filter = script.run(Scope::Read, move |fleet, _| fleet.filter(id)).await?;
    ok(&shown(&script, filter))
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    query: Option<String>,
}

async fn change(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Change { name, query } = read_json(&script.fleet, body, "the change").await?;
    let filter = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.change_filter(operator, id, name.as_deref(), query.as_deref())
        })
        .await?;
    ok(&shown(&script, filter))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Operate, move |fleet, _| fleet.delete_filter(id)).await?;
    Ok(nothing())
}

async fn auto_assigned(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let set = script
        .run(Scope::Read, move |fleet, _| {
            let filter = fleet.filter(id)?;
            filter.auto_assign_distribution_set.map(|set| fleet.set(set)).transpose()
        })
        .await?;
    match set {
        Some(set) => ok(&super::sets::shown(&script, set, false)),
        None => Ok(nothing()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auto {
    id: i64,
    #[serde(rename = "type", default)]
    kind: ActionKind,
    #[serde(default)]
    weight: Option<i64>,
    #[serde(default)]
    confirmation_required: Option<bool>,
}

async fn auto_assign(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let auto: Auto = read_json(&script.fleet, body, "the assignment").await?;
    let told = Told {
        set: auto.id,
        kind: auto.kind,
        weight: auto.weight,
        confirmation: auto.confirmation_required,
        start_at: None,
    };
    let filter = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.make_auto_assignment(operator, Whom::Filter(id), &told)?;
            fleet.filter(id)
        })
        .await?;
    ok(&shown(&script, filter))
}

async fn stop(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            match fleet.filter(id)?.auto_assign_distribution_set {
                Some(_) => fleet.end_auto_assignment(operator, id),
                None => Ok(()),
            }
        })
        .await?;
    Ok(nothing())
}
