//! Groups of devices: each device is in one at most, whose name is a path.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, put};
use serde::Deserialize;
use updraft_api::Scope;

use super::{Answer, Asked, Parameters, Script, at, list, nothing, ok};
use crate::error::Error;
use crate::error::hawkbit::Trouble;
use crate::fleet::hawkbit::Wanted;
use crate::fleet::hawkbit::target_groups::Chosen;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("targetgroups"), get(all).put(put_matching).delete(remove_matching))
        .route(&at("targetgroups/assigned"), get(assigned).put(put_named).delete(remove_named))
        .route(&at("targetgroups/{group}"), put(put_matching_in))
        .route(&at("targetgroups/{group}/assigned"), get(assigned_in).put(put_named_in))
}

/// A group as a parameter: names with slashes do not fit in the path.
#[derive(Deserialize)]
struct Group {
    group: String,
    #[serde(default)]
    subgroups: bool,
}

#[derive(Deserialize)]
struct Matching {
    q: String,
}

async fn all(script: Script) -> Answer {
    ok(&script.run(Scope::Read, |fleet, _| fleet.target_groups()).await?)
}

async fn assigned(
    script: Script,
    Asked(Group { group, subgroups }): Asked<Group>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    targets(script, group, subgroups, parameters.wanted()).await
}

async fn assigned_in(
    script: Script,
    Path(group): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    targets(script, group, false, parameters.wanted()).await
}

async fn targets(script: Script, group: String, subgroups: bool, wanted: Wanted) -> Answer {
    let (found, total) = script
        .run(Scope::Read, move |fleet, _| fleet.targets_of_group(&group, subgroups, &wanted))
        .await?;
    let shown = found.into_iter().map(|one| super::targets::shown(&script, one, true));
    list((shown.collect(), total))
}

async fn put_named(script: Script, Asked(group): Asked<Group>, body: Body) -> Answer {
    let chosen = named(&script, body).await?;
    change(script, Some(group.group), chosen).await
}

async fn put_named_in(script: Script, Path(group): Path<String>, body: Body) -> Answer {
    let chosen = named(&script, body).await?;
    change(script, Some(group), chosen).await
}

async fn remove_named(script: Script, body: Body) -> Answer {
    let chosen = named(&script, body).await?;
    change(script, None, chosen).await
}

async fn put_matching(
    script: Script,
    Asked(group): Asked<Group>,
    Asked(matching): Asked<Matching>,
) -> Answer {
    let chosen = query(matching)?;
    change(script, Some(group.group), chosen).await
}

async fn put_matching_in(
    script: Script,
    Path(group): Path<String>,
    Asked(matching): Asked<Matching>,
) -> Answer {
    let chosen = query(matching)?;
    change(script, Some(group), chosen).await
}

async fn remove_matching(script: Script, Asked(matching): Asked<Matching>) -> Answer {
    let chosen = query(matching)?;
    change(script, None, chosen).await
}

async fn named(script: &Script, body: Body) -> Result<Chosen, Error> {
    read_json(&script.fleet, body, "the targets").await.map(Chosen::Named)
}

/// An empty query would mean every device: nobody asks for that by leaving something out.
fn query(Matching { q }: Matching) -> Result<Chosen, Error> {
    if q.trim().is_empty() {
        return Err(Error::hawkbit(Trouble::QuerySyntax, "the query `q` is empty"));
    }
    Ok(Chosen::Query(q))
}

async fn change(script: Script, group: Option<String>, chosen: Chosen) -> Answer {
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.put_targets_in_group(operator, group.as_deref(), chosen)
        })
        .await?;
    Ok(nothing())
}
