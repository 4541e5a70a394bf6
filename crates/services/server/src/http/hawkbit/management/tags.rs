//! Tags of targets and of distribution sets.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{Linked, Tag};

use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, nothing, number, ok,
};
use crate::fleet::hawkbit::tags::TagValues;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::storage::hawkbit::tags::Tagged;

const TARGETS: &str = "targettags";
const SETS: &str = "distributionsettags";

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new();
    for (of, path) in [(Tagged::Devices, TARGETS), (Tagged::Sets, SETS)] {
        routes = routes
            .route(
                &at(path),
                get(async move |script, asked| all(of, script, asked).await)
                    .post(async move |script, body| make(of, script, body).await),
            )
            .route(
                &at(&format!("{path}/{{id}}")),
                get(async move |script, id| one(of, script, id).await)
                    .put(async move |script, id, body| change(of, script, id, body).await)
                    .delete(async move |script, id| delete(of, script, id).await),
            )
            .route(
                &at(&format!("{path}/{{id}}/assigned")),
                get(async move |script, id, asked| assigned(of, script, id, asked).await)
                    .post(async move |script, id, body| several(of, true, script, id, body).await)
                    .delete(async move |script, id, body| {
                        several(of, false, script, id, body).await
                    }),
            )
            .route(
                &at(&format!("{path}/{{id}}/assigned/{{entry}}")),
                post(async move |script, ids| single(of, true, script, ids).await)
                    .delete(async move |script, ids| single(of, false, script, ids).await),
            );
    }
    routes.route(&at("targets/{id}/tags"), get(of_target))
}

fn shown(of: Tagged, script: &Script, tag: Tag) -> Linked<Tag> {
    let path = if of == Tagged::Devices { TARGETS } else { SETS };
    let this = format!("{path}/{}", tag.id);
    let rel = if of == Tagged::Devices { "assignedTargets" } else { "assignedDistributionSets" };
    let links = script.links(&[("self", this.clone()), (rel, format!("{this}/assigned"))]);
    super::linked(tag, links)
}

async fn all(of: Tagged, script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (tags, total) =
        script.run(Scope::Read, move |fleet, _| fleet.named_tags(of, &wanted)).await?;
    list((tags.into_iter().map(|one| shown(of, &script, one)).collect(), total))
}

async fn make(of: Tagged, script: Script, body: Body) -> Answer {
    let new: OneOrMany<TagValues> = read_json(&script.fleet, body, "the tags").await?;
    let made = script
        .run(Scope::Operate, move |fleet, operator| fleet.make_tags(operator, of, &new.into_vec()))
        .await?;
    created(&made.into_iter().map(|one| shown(of, &script, one)).collect::<Vec<_>>())
}

async fn one(of: Tagged, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let tag = script.run(Scope::Read, move |fleet, _| fleet.tag(of, id)).await?;
    ok(&shown(of, &script, tag))
}

async fn change(of: Tagged, script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let change: TagValues = read_json(&script.fleet, body, "the change").await?;
    let tag = script
        .run(Scope::Operate, move |fleet, operator| fleet.change_tag(operator, of, id, &change))
        .await?;
    ok(&shown(of, &script, tag))
}

async fn delete(of: Tagged, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Operate, move |fleet, _| fleet.delete_named_tag(of, id)).await?;
    Ok(nothing())
}

async fn assigned(
    of: Tagged,
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let id = number(&id)?;
    let wanted = parameters.wanted();
    if of == Tagged::Sets {
        let (sets, total) =
            script.run(Scope::Read, move |fleet, _| fleet.tagged_sets(id, &wanted)).await?;
        let shown = sets.into_iter().map(|one| super::sets::shown(&script, one, true));
        return list((shown.collect(), total));
    }
    let (targets, total) =
        script.run(Scope::Read, move |fleet, _| fleet.tagged_targets(id, &wanted)).await?;
    let shown = targets.into_iter().map(|one| super::targets::shown(&script, one, true));
    list((shown.collect(), total))
}

/// What scripts name: older ones in objects, newer ones by itself.
#[derive(Deserialize)]
#[serde(untagged, rename_all = "camelCase")]
enum Entry {
    Name(String),
    Number(i64),
    #[serde(rename_all = "camelCase")]
    Target {
        controller_id: String,
    },
    Set {
        id: i64,
    },
}

impl Entry {
    fn text(self) -> String {
        match self {
            Self::Name(text) | Self::Target { controller_id: text } => text,
            Self::Number(number) | Self::Set { id: number } => number.to_string(),
        }
    }
}

async fn several(
    of: Tagged,
    assigned: bool,
    script: Script,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let entries: Vec<Entry> = read_json(&script.fleet, body, "what is tagged").await?;
    tag(of, assigned, script, &id, entries.into_iter().map(Entry::text).collect()).await
}

async fn single(
    of: Tagged,
    assigned: bool,
    script: Script,
    Path((id, entry)): Path<(String, String)>,
) -> Answer {
    tag(of, assigned, script, &id, vec![entry]).await
}

async fn tag(of: Tagged, assigned: bool, script: Script, id: &str, entries: Vec<String>) -> Answer {
    let id = number(id)?;
    if of == Tagged::Sets {
        let sets = entries.iter().map(|entry| number(entry)).collect::<Result<Vec<_>, _>>()?;
        script.run(Scope::Operate, move |fleet, _| fleet.tag_sets(id, &sets, assigned)).await?;
    } else {
        script
            .run(Scope::Operate, move |fleet, _| fleet.tag_targets(id, &entries, assigned))
            .await?;
    }
    Ok(if assigned { done() } else { nothing() })
}

async fn of_target(script: Script, Path(id): Path<String>) -> Answer {
    let tags = script.run(Scope::Read, move |fleet, _| fleet.tags_of_target(&id)).await?;
    let shown = tags.into_iter().map(|one| shown(Tagged::Devices, &script, one));
    ok(&shown.collect::<Vec<_>>())
}
