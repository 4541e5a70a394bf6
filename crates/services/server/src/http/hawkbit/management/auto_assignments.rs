//! Sets that devices which meet a query are told by themselves: `autoassignments`.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{ActionKind, AutoAssignment, AutoState, Linked};

use super::{Answer, Asked, Parameters, Script, at, created, list, nothing, number, ok};
use crate::error::Error;
use crate::error::hawkbit::Trouble;
use crate::fleet::hawkbit::auto_assignments::{AutoVerb, Told, Whom};
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new()
        .route(&at("autoassignments"), get(all).post(make))
        .route(&at("autoassignments/{id}"), get(one).put(change).delete(delete))
        .route(&at("distributionsets/{id}/autoAssignments"), get(of_set));
    for (path, verb) in [
        ("approve", AutoVerb::Approve),
        ("deny", AutoVerb::Deny),
        ("start", AutoVerb::Start),
        ("pause", AutoVerb::Pause),
        ("resume", AutoVerb::Resume),
    ] {
        let handler = post(async move |script, id, asked| steer(verb, script, id, asked).await);
        routes = routes.route(&at(&format!("autoassignments/{{id}}/{path}")), handler);
    }
    routes
}

/// As scripts see it: with links to what may be done with it now.
fn shown(script: &Script, auto: AutoAssignment) -> Linked<AutoAssignment> {
    let this = format!("autoassignments/{}", auto.id);
    let verbs: &[&str] = match auto.status {
        AutoState::WaitingForApproval => &["approve", "deny"],
        AutoState::ApprovalDenied => &[],
        AutoState::Ready => &["start"],
        AutoState::Running => &["pause"],
        AutoState::Paused => &["resume"],
    };
    let mut named = vec![("self", this.clone())];
    named.extend(verbs.iter().map(|verb| (*verb, format!("{this}/{verb}"))));
    named.push(("distributionset", format!("distributionsets/{}", auto.distribution_set_id)));
    let links = script.links(&named);
    super::linked(auto, links)
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    page(script, None, parameters).await
}

async fn of_set(
    script: Script,
    Path(id): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer {
    let id = number(&id)?;
    page(script, Some(id), parameters).await
}

async fn page(script: Script, set: Option<i64>, parameters: Parameters) -> Answer {
    let wanted = parameters.wanted();
    let (found, total) =
        script.run(Scope::Read, move |fleet, _| fleet.auto_assignments(set, &wanted)).await?;
    list((found.into_iter().map(|one| shown(&script, one)).collect(), total))
}

/// hawkBit took the number of a filter before it took a query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    target_filter_query: Option<String>,
    #[serde(default)]
    target_filter_query_id: Option<i64>,
    #[serde(default)]
    distribution_set_id: Option<i64>,
    #[serde(default)]
    start_at: Option<i64>,
    #[serde(default)]
    action_type: Option<ActionKind>,
    #[serde(default)]
    weight: Option<i64>,
    #[serde(default)]
    confirmation_required: Option<bool>,
}

async fn make(script: Script, body: Body) -> Answer {
    let new: New = read_json(&script.fleet, body, "the automatic assignment").await?;
    let missing = |name: &str| Error::hawkbit(Trouble::Value, format!("`{name}` is missing"));
    let whom = match (new.target_filter_query_id, new.target_filter_query) {
        (Some(id), None) => Whom::Filter(id),
        (None, Some(query)) => Whom::Query {
            name: new.name.ok_or_else(|| missing("name"))?,
            description: new.description,
            query,
        },
        (None, None) => return Err(missing("targetFilterQuery").into()),
        (Some(_), Some(_)) => {
            let message = "one of `targetFilterQuery` and `targetFilterQueryId` is to be given";
            return Err(Error::hawkbit(Trouble::Value, message).into());
        }
    };
    let told = Told {
        set: new.distribution_set_id.ok_or_else(|| missing("distributionSetId"))?,
        kind: new.action_type.unwrap_or_default(),
        weight: new.weight,
        confirmation: new.confirmation_required,
        start_at: new.start_at,
    };
    let made = script
        .run(Scope::Operate, move |fleet, operator| {
            fleet.make_auto_assignment(operator, whom, &told)
        })
        .await?;
    created(&shown(&script, made))
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let found = script.run(Scope::Read, move |fleet, _| fleet.auto_assignment(id)).await?;
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
            fleet.change_auto_assignment(operator, id, name.as_deref(), description)
        })
        .await?;
    ok(&shown(&script, changed))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script
        .run(Scope::Operate, move |fleet, operator| fleet.end_auto_assignment(operator, id))
        .await?;
    Ok(nothing())
}

#[derive(Debug, Default, Deserialize)]
struct Decision {
    #[serde(default)]
    remark: Option<String>,
}

async fn steer(
    verb: AutoVerb,
    script: Script,
    Path(id): Path<String>,
    Asked(Decision { remark }): Asked<Decision>,
) -> Answer {
    let id = number(&id)?;
    let needed = match verb {
        AutoVerb::Approve | AutoVerb::Deny => Scope::Approve,
        _ => Scope::Operate,
    };
    script
        .run(needed, move |fleet, operator| {
            fleet.steer_auto_assignment(operator, id, verb, remark.as_deref())
        })
        .await?;
    Ok(nothing())
}
