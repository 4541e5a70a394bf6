//! Rollouts, and their groups.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{Linked, Rollout, RolloutBody, RolloutGroup};

use super::{Answer, Asked, Parameters, Script, at, created, list, nothing, number, ok};
use crate::error::Error;
use crate::fleet::hawkbit::rollouts::Verb;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new()
        .route(&at("rollouts"), get(all).post(make))
        .route(&at("rollouts/{id}"), get(one).put(change).delete(delete))
        .route(&at("rollouts/{id}/retry"), post(retry))
        .route(&at("rollouts/{id}/deploygroups"), get(groups))
        .route(&at("rollouts/{id}/deploygroups/{group}"), get(group))
        .route(&at("rollouts/{id}/deploygroups/{group}/targets"), get(targets));
    for (path, verb) in [
        ("start", Verb::Start),
        ("pause", Verb::Pause),
        ("resume", Verb::Resume),
        ("stop", Verb::Stop),
        ("approve", Verb::Approve),
        ("deny", Verb::Deny),
        ("triggerNextGroup", Verb::TriggerNextGroup),
    ] {
        let handler = post(async move |script, id, asked| steer(verb, script, id, asked).await);
        routes = routes.route(&at(&format!("rollouts/{{id}}/{path}")), handler);
    }
    routes
}

fn shown(script: &Script, rollout: Rollout) -> Linked<Rollout> {
    let this = format!("rollouts/{}", rollout.id);
    let mut named = vec![("self", this.clone())];
    for verb in ["start", "pause", "resume", "stop", "triggerNextGroup", "approve", "deny"] {
        named.push((verb, format!("{this}/{verb}")));
    }
    named.push(("groups", format!("{this}/deploygroups")));
    named.push(("distributionset", format!("distributionsets/{}", rollout.distribution_set_id)));
    let links = script.links(&named);
    super::linked(rollout, links)
}

fn shown_group(script: &Script, rollout: i64, group: RolloutGroup) -> Linked<RolloutGroup> {
    let this = format!("rollouts/{rollout}/deploygroups/{}", group.id);
    let links = script.links(&[("self", this.clone()), ("targets", format!("{this}/targets"))]);
    super::linked(group, links)
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (found, total) =
        script.run(Scope::Read, move |fleet, _| fleet.script_rollouts(&wanted)).await?;
    list((found.into_iter().map(|one| shown(&script, one)).collect(), total))
}

async fn make(script: Script, body: Body) -> Answer {
    let body: RolloutBody = read_json(&script.fleet, body, "the rollout").await?;
    let made = script
        .run(Scope::Operate, move |fleet, operator| fleet.make_script_rollout(operator, body))
        .await?;
    created(&shown(&script, made))
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let found = script.run(Scope::Read, move |fleet, _| fleet.script_rollout(id)).await?;
    ok(&shown(&script, found))
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

async fn change(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Change { name, description } = read_json(&script.fleet, body, "the change").await?;
    let changed = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.change_script_rollout(operator, id, name.as_deref(), description)
        })
        .await?;
    ok(&shown(&script, changed))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script
        .run(Scope::Operate, move |fleet, operator| fleet.delete_script_rollout(operator, id))
        .await?;
    Ok(nothing())
}

#[derive(Debug, Default, Deserialize)]
struct Decision {
    #[serde(default)]
    remark: Option<String>,
}

async fn steer(
    verb: Verb,
    script: Script,
    Path(id): Path<String>,
    Asked(Decision { remark }): Asked<Decision>,
) -> Answer {
    let id = number(&id)?;
    let needed = match verb {
        Verb::Approve | Verb::Deny => Scope::Approve,
        _ => Scope::Operate,
    };
    script
        .run(needed, move |fleet, operator| {
            fleet.steer_script_rollout(operator, id, verb, remark.as_deref())
        })
        .await?;
    Ok(nothing())
}

async fn retry(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let made = script
        .run(Scope::Operate, move |fleet, operator| fleet.retry_script_rollout(operator, id))
        .await?;
    created(&shown(&script, made))
}

async fn groups(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let id = number(&id)?;
    let wanted = parameters.wanted();
    let found = script.run(Scope::Read, move |fleet, _| fleet.script_groups(id)).await?;
    let total = found.len() as u64;
    let skipped = usize::try_from(wanted.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(wanted.limit.unwrap_or(50).min(500)).unwrap_or(usize::MAX);
    let page = found.into_iter().skip(skipped).take(limit);
    list((page.map(|one| shown_group(&script, id, one)).collect(), total))
}

async fn group(script: Script, Path((id, group)): Path<(String, String)>) -> Answer {
    let (id, group) = (number(&id)?, number(&group)?);
    let found = script.run(Scope::Read, move |fleet, _| fleet.script_groups(id)).await?;
    let found = found
        .into_iter()
        .find(|one| one.id == group)
        .ok_or_else(|| Error::not_found("rollout group", group.to_string()))?;
    ok(&shown_group(&script, id, found))
}

async fn targets(
    script: Script,
    Path((id, group)): Path<(String, String)>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let (id, group) = (number(&id)?, number(&group)?);
    let wanted = parameters.wanted();
    let (found, total) = script
        .run(Scope::Read, move |fleet, _| fleet.script_group_targets(id, group, &wanted))
        .await?;
    list((found.into_iter().map(|one| super::targets::shown(&script, one, true)).collect(), total))
}
