//! `/api/v1/assignments`: devices told to run a multi-target update.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use updraft_api::{RolloutDeviceState, Scope};

use super::{Words, answer, header};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::ota::assignments::{InFlight, Reach};
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;
use crate::storage::rollouts::{AssignedTarget, MemberRecord};

/// The most devices that one answer is about.
const MAX_SHOWN: usize = 50;

/// The body of `POST assignments`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignmentRequest {
    correlation_id: String,
    devices: Vec<String>,
    mtu_id: String,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn create(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let request: AssignmentRequest = admin.read(content, "the assignment").await?;
    if request.dry_run {
        let reach = admin
            .act(Scope::Read, move |fleet, _| {
                fleet.affected_devices(&request.devices, &request.mtu_id)
            })
            .await?;
        return Ok(answer(StatusCode::OK, reach.affected));
    }
    let reach = admin
        .act(Scope::Operate, move |fleet, operator| {
            let AssignmentRequest { correlation_id, devices, mtu_id, .. } = &request;
            fleet.assign_update(operator, correlation_id, devices, mtu_id)
        })
        .await?;
    let status = match (reach.affected.is_empty(), reach.not_affected.is_empty()) {
        (false, _) => StatusCode::CREATED,
        (true, false) => StatusCode::BAD_REQUEST,
        (true, true) => StatusCode::OK,
    };
    Ok(answer(status, shown(&reach)))
}

/// Which devices were reached, and why the others were not.
pub(super) fn shown(reach: &Reach) -> Value {
    let not_affected: Map<String, Value> = reach
        .not_affected
        .iter()
        .map(|(device, obstacles)| {
            let each = obstacles.iter().map(|(serial, obstacle)| {
                let about = json!({ "code": obstacle.code, "description": obstacle.reason });
                (serial.clone(), about)
            });
            (device.clone(), Value::Object(each.collect()))
        })
        .collect();
    json!({ "affected": reach.affected, "notAffected": not_affected })
}

pub(super) async fn affected(
    admin: Admin,
    words: Words,
) -> Result<Json<Vec<String>>, GatewayError> {
    let update = words.get("mtuId").unwrap_or_default().to_owned();
    let ids = words.list("ids");
    let reach = admin.act(Scope::Read, move |fleet, _| fleet.affected_devices(&ids, &update));
    Ok(Json(reach.await?.affected))
}

pub(super) async fn queue(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<Vec<Value>>, GatewayError> {
    let queue = admin.act(Scope::Read, move |fleet, _| queue_of(fleet, &id)).await?;
    Ok(Json(queue))
}

pub(super) async fn list(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let mut ids = words.list("ids");
    ids.truncate(MAX_SHOWN);
    let found = admin
        .act(Scope::Read, move |fleet, _| {
            let mut found = Map::new();
            for id in ids {
                found.insert(id.clone(), queue_of(fleet, &id)?.into());
            }
            Ok(found)
        })
        .await?;
    Ok(Json(Value::Object(found)))
}

/// What a device is told to run: at most one thing.
fn queue_of(fleet: &Fleet, id: &str) -> Result<Vec<Value>> {
    let shown = |member: MemberRecord| {
        let assignment = member.assignment?;
        let targets: Map<String, Value> =
            assignment.targets.iter().map(|one| (one.serial.clone(), image(one))).collect();
        Some(json!({
            "correlationId": assignment.correlation,
            "targets": targets,
            "inFlight": member.state == RolloutDeviceState::Started,
        }))
    };
    Ok(fleet.queue(id)?.and_then(shown).into_iter().collect())
}

fn image(target: &AssignedTarget) -> Value {
    json!({
        "image": {
            "filepath": target.filepath,
            "fileinfo": { "hashes": { "sha256": target.sha256 }, "length": target.length },
        },
        "uri": target.uri,
        "userDefinedCustom": target.custom,
    })
}

pub(super) async fn cancel_many(
    admin: Admin,
    headers: HeaderMap,
    content: Body,
) -> Result<Json<Vec<String>>, GatewayError> {
    let ids: Vec<String> = admin.read(content, "the list of devices").await?;
    let in_flight = in_flight(&headers)?;
    let cancelled = admin
        .act(Scope::Operate, move |fleet, operator| {
            fleet.cancel_assignments(operator, &ids, in_flight)
        })
        .await?;
    Ok(Json(cancelled))
}

pub(super) async fn cancel(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<StatusCode, GatewayError> {
    let in_flight = in_flight(&headers)?;
    admin
        .act(Scope::Operate, move |fleet, operator| {
            fleet.cancel_assignment(operator, &id, in_flight)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the header `x-trx-force` says about assignments that devices have fetched.
pub(super) fn in_flight(headers: &HeaderMap) -> Result<InFlight> {
    match header(headers, "x-trx-force") {
        None | Some("false") => Ok(InFlight::Spare),
        Some("true") => Ok(InFlight::Cancel),
        Some(_) => Err(Error::invalid("the header x-trx-force", "it is neither true nor false")),
    }
}
