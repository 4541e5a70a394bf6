//! Actions of all targets, and of one.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, put};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::MaintenanceWindow;
use updraft_hawkbit::ddi::ConfirmationFeedback;
use updraft_hawkbit::management::{Action, ActionKind, Linked};

use super::{Answer, Asked, Parameters, Script, at, list, nothing, number, ok};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::hawkbit::Wanted;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::storage::hawkbit::actions::ActionRecord;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("actions"), get(all).delete(delete_several))
        .route(&at("actions/{action}"), get(one).delete(delete))
        .route(&at("targets/{id}/actions"), get(of_target).delete(delete_of_target))
        .route(&at("targets/{id}/actions/{action}"), get(one_of_target).put(change).delete(cancel))
        .route(&at("targets/{id}/actions/{action}/confirmation"), put(confirm))
        .route(&at("targets/{id}/actions/{action}/status"), get(reports))
}

/// An action as scripts see it.
fn shown(script: &Script, record: ActionRecord) -> Linked<Action> {
    let id = record.id;
    let target = format!("targets/{}", super::targets::part(&record.device));
    let this = format!("{target}/actions/{id}");
    let mut named = vec![
        ("self", this.clone()),
        ("target", target),
        ("distributionset", format!("distributionsets/{}", record.set)),
        ("status", format!("{this}/status?offset=0&limit=50&sort=id:DESC")),
    ];
    let is_cancel = record.is_canceling_or_canceled();
    if is_cancel {
        named.push(("canceledaction", this));
    }
    let mut window = record.window;
    if let Some(window) = &mut window {
        let read = MaintenanceWindow::parse(&window.schedule, &window.duration, &window.timezone);
        let next = read.ok().and_then(|read| read.current(script.fleet.now()));
        window.next_start_at = next.map(|(start, _)| start.as_millisecond());
    }
    let action = Action {
        stamp: record.stamp,
        id,
        action_type: if is_cancel { "cancel" } else { "update" }.to_owned(),
        status: if record.active { "pending" } else { "finished" }.to_owned(),
        detail_status: record.status,
        force_time: record.forced_at.map(jiff::Timestamp::as_millisecond),
        force_type: record.kind,
        weight: record.weight.or(Some(crate::storage::hawkbit::actions::DEFAULT_WEIGHT)),
        maintenance_window: window,
        last_status_code: record.last_code,
        external_ref: record.external_ref,
    };
    super::linked(action, script.links(&named))
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (actions, total) =
        script.run(Scope::Read, move |fleet, _| fleet.actions(None, &wanted)).await?;
    list((actions.into_iter().map(|one| shown(&script, one)).collect(), total))
}

async fn one(script: Script, Path(action): Path<String>) -> Answer {
    let action = number(&action)?;
    let found = script.run(Scope::Read, move |fleet, _| fleet.action(None, action)).await?;
    ok(&shown(&script, found))
}

async fn of_target(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let wanted = parameters.wanted();
    let (actions, total) =
        script.run(Scope::Read, move |fleet, _| fleet.actions(Some(&id), &wanted)).await?;
    list((actions.into_iter().map(|one| shown(&script, one)).collect(), total))
}

async fn one_of_target(script: Script, Path((id, action)): Path<(String, String)>) -> Answer {
    let action = number(&action)?;
    let found = script.run(Scope::Read, move |fleet, _| fleet.action(Some(&id), action)).await?;
    ok(&shown(&script, found))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    force_type: ActionKind,
}

async fn change(script: Script, Path((id, action)): Path<(String, String)>, body: Body) -> Answer {
    let action = number(&action)?;
    let change: Change = read_json(&script.fleet, body, "the change").await?;
    if change.force_type != ActionKind::Forced {
        let message = "an action can only be made forced";
        return Err(Error::hawkbit(Trouble::Value, message).into());
    }
    let found = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.force_action(operator, &id, action)?;
            fleet.action(Some(&id), action)
        })
        .await?;
    ok(&shown(&script, found))
}

#[derive(Deserialize)]
struct Force {
    #[serde(default)]
    force: bool,
}

async fn cancel(
    script: Script,
    Path((id, action)): Path<(String, String)>,
    Asked(Force { force }): Asked<Force>,
) -> Answer {
    let action = number(&action)?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.cancel_action(operator, &id, action, force)
        })
        .await?;
    Ok(nothing())
}

async fn confirm(script: Script, Path((id, action)): Path<(String, String)>, body: Body) -> Answer {
    let action = number(&action)?;
    let answer: ConfirmationFeedback = read_json(&script.fleet, body, "the answer").await?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.confirm_action(operator, &id, action, &answer)
        })
        .await?;
    Ok(super::done())
}

async fn reports(
    script: Script,
    Path((id, action)): Path<(String, String)>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let action = number(&action)?;
    let mut wanted = parameters.wanted();
    // The newest first, as scripts expect.
    wanted.sort = wanted.sort.or_else(|| Some("id:DESC".to_owned()));
    list(script.run(Scope::Read, move |fleet, _| fleet.action_reports(&id, action, &wanted)).await?)
}

async fn delete(script: Script, Path(action): Path<String>) -> Answer {
    let action = number(&action)?;
    script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.action(None, action)?;
            fleet.delete_actions(operator, &[action])
        })
        .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    rsql: Option<String>,
    #[serde(default, rename = "keepLast")]
    keep_last: Option<usize>,
}

async fn delete_several(script: Script, Asked(which): Asked<Which>, body: Body) -> Answer {
    delete_some(script, None, which, body).await
}

async fn delete_of_target(
    script: Script,
    Path(id): Path<String>,
    Asked(which): Asked<Which>,
    body: Body,
) -> Answer {
    delete_some(script, Some(id), which, body).await
}

/// Deletes the actions that a query or a list names, or all but the last few.
async fn delete_some(script: Script, device: Option<String>, which: Which, body: Body) -> Answer {
    let limit = script.fleet.config.limits.body_bytes;
    let idle = script.fleet.config.body_idle_timeout();
    let bytes = crate::http::body::bytes(body, "the list of actions", limit, idle).await?;
    let named: Vec<i64> = if bytes.is_empty() {
        Vec::new()
    } else {
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::hawkbit(Trouble::Body, error.to_string()))?
    };
    if named.is_empty() && which.rsql.is_none() && which.keep_last.is_none() {
        let message = "name the actions: by numbers in the body, by rsql or by keepLast";
        return Err(Error::hawkbit(Trouble::Value, message).into());
    }
    script
        .run(Scope::Operate, move |fleet, operator| {
            let ids = if named.is_empty() {
                ended(fleet, device.as_deref(), which)?
            } else {
                for id in &named {
                    fleet.action(device.as_deref(), *id)?;
                }
                named
            };
            fleet.delete_actions(operator, &ids)
        })
        .await?;
    Ok(nothing())
}

fn ended(fleet: &crate::fleet::Fleet, device: Option<&str>, which: Which) -> Result<Vec<i64>> {
    let wanted = Wanted {
        query: which.rsql,
        sort: Some("id:DESC".to_owned()),
        offset: u32::try_from(which.keep_last.unwrap_or(0)).unwrap_or(u32::MAX),
        limit: Some(500),
    };
    let (actions, _) = fleet.actions(device, &wanted)?;
    Ok(actions.into_iter().filter(|action| !action.active).map(|action| action.id).collect())
}
