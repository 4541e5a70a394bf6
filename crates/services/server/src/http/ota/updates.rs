//! `/api/v1/multi_target_updates` and `/api/v1/updates`: what hardware is to run, and how far the
//! devices that were told have come.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use updraft_api::{RolloutDeviceState, Scope};

use super::assignments::{in_flight, shown};
use super::{Words, answer, page};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::fleet::ota::assignments::{InFlight, Reach};
use crate::fleet::ota::updates::{MultiTargetUpdate, TargetChange};
use crate::http::answer::GatewayError;
use crate::http::callers::Admin;
use crate::http::names::GatewayNames;
use crate::storage::assignments::{self, UpdateRecord};
use crate::storage::rollouts::MemberRecord;
use crate::storage::values;

pub(super) async fn create_spec(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let update: MultiTargetUpdate = admin.read(content, "the multi-target update").await?;
    let id = admin
        .act(Scope::Operate, move |fleet, operator| fleet.create_update(operator, &update))
        .await?;
    Ok(answer(StatusCode::CREATED, id))
}

pub(super) async fn show_spec(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<Json<MultiTargetUpdate>, GatewayError> {
    Ok(Json(admin.act(Scope::Read, move |fleet, _| fleet.update(&id)).await?))
}

pub(super) async fn list_specs(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let (records, total) = admin
        .act(Scope::Read, move |fleet, _| {
            fleet.database().read("list multi-target updates", |reader| {
                assignments::page(reader, window.offset, window.limit)
            })
        })
        .await?;
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    Ok(page(ids, total, window))
}

/// The body of `POST updates/devices`.
#[derive(Debug, Deserialize)]
pub(super) struct ManyRequest {
    targets: BTreeMap<String, TargetChange>,
    devices: Vec<String>,
}

pub(super) async fn create_many(admin: Admin, content: Body) -> Result<Response, GatewayError> {
    let request: ManyRequest = admin.read(content, "the update").await?;
    let reach = admin
        .act(Scope::Operate, move |fleet, operator| {
            let id =
                fleet.create_update(operator, &MultiTargetUpdate { targets: request.targets })?;
            fleet.assign_update(operator, &correlation(&id), &request.devices, &id)
        })
        .await?;
    Ok(answer(StatusCode::OK, shown(&reach)))
}

/// The body of `POST updates/devices/ID`.
#[derive(Debug, Deserialize)]
pub(super) struct OneRequest {
    targets: BTreeMap<String, TargetChange>,
    #[serde(rename = "scheduledFor", default)]
    scheduled_for: Option<jiff::Timestamp>,
}

pub(super) async fn create(
    admin: Admin,
    GatewayNames(device): GatewayNames<String>,
    content: Body,
) -> Result<Response, GatewayError> {
    let request: OneRequest = admin.read(content, "the update").await?;
    if let Some(due_at) = request.scheduled_for {
        let id = admin
            .act(Scope::Operate, move |fleet, operator| {
                let update = MultiTargetUpdate { targets: request.targets };
                fleet.schedule_update(operator, &device, &update, due_at)
            })
            .await?;
        return Ok(answer(StatusCode::OK, id));
    }
    let id = admin
        .act(Scope::Operate, move |fleet, operator| {
            let id =
                fleet.create_update(operator, &MultiTargetUpdate { targets: request.targets })?;
            let devices = [device];
            let reach = fleet.assign_update(operator, &correlation(&id), &devices, &id)?;
            if reach.affected.is_empty() {
                fleet.forget_update(&id)?;
            }
            require_reached(&reach).map(|()| id)
        })
        .await?;
    Ok(answer(StatusCode::OK, id))
}

/// `PUT admin/devices/ID/multi_target_update/UPDATE`: one device, in the words of older scripts.
pub(super) async fn assign(
    admin: Admin,
    GatewayNames((device, id)): GatewayNames<(String, String)>,
) -> Result<StatusCode, GatewayError> {
    admin
        .act(Scope::Operate, move |fleet, operator| {
            let reach = fleet.assign_update(operator, &correlation(&id), &[device], &id)?;
            require_reached(&reach)
        })
        .await?;
    Ok(StatusCode::OK)
}

/// Refuses with what stood in the way when no device was reached.
fn require_reached(reach: &Reach) -> Result<()> {
    if !reach.affected.is_empty() {
        return Ok(());
    }
    let obstacles = reach.not_affected.values().flat_map(BTreeMap::values);
    let reasons: Vec<&str> = obstacles.map(|obstacle| obstacle.reason.as_str()).collect();
    Err(Error::invalid("the update", reasons.join("; ")))
}

/// The correlation of the assignments that an update makes by itself.
fn correlation(id: &str) -> String {
    format!("urn:here-ota:mtu:{id}")
}

/// One device of an update.
struct Line {
    id: String,
    update: MultiTargetUpdate,
    record: UpdateRecord,
    member: MemberRecord,
}

impl Line {
    fn shown(&self) -> Value {
        let time = |time: jiff::Timestamp| time.to_string();
        let ended = self.member.state.is_final().then_some(self.member.changed_at).flatten();
        json!({
            "updateId": self.id,
            "status": status(self.member.state),
            "createdAt": time(self.record.created_at),
            "scheduledFor": null,
            "completedAt": ended.map(time),
            "packages": packages(&self.update),
        })
    }

    fn detailed(&self) -> Value {
        let mut shown = self.shown();
        let success = self.member.state == RolloutDeviceState::Succeeded;
        let targets = self.member.assignment.iter().flat_map(|assignment| &assignment.targets);
        let results: Map<String, Value> = targets
            .filter(|_| self.member.state.is_final())
            .map(|target| {
                let result = json!({
                    "hardwareId": target.hardware_id,
                    "id": target.filepath,
                    "success": success,
                    "description": self.member.reason.clone().unwrap_or_default(),
                    "reports": [],
                });
                (target.serial.clone(), result)
            })
            .collect();
        shown["results"] = results.into();
        shown
    }
}

fn status(state: RolloutDeviceState) -> &'static str {
    match state {
        RolloutDeviceState::Waiting => "Scheduled",
        RolloutDeviceState::Assigned => "Assigned",
        RolloutDeviceState::Started | RolloutDeviceState::RollingBack => "Seen",
        RolloutDeviceState::Succeeded
        | RolloutDeviceState::Failed
        | RolloutDeviceState::RolledBack
        | RolloutDeviceState::RollbackFailed => "Completed",
        RolloutDeviceState::Cancelled | RolloutDeviceState::Skipped => "Cancelled",
    }
}

/// The updates that a device was ever told, the newest first.
fn lines(fleet: &Fleet, device: &str) -> Result<Vec<Line>> {
    fleet.database().read("list a device's updates", |reader| {
        let mut lines = Vec::new();
        for (release, member) in assignments::of_device(reader, device)? {
            let Some(id) = release.strip_prefix("mtu-") else { continue };
            let record = assignments::require(reader, id)?;
            let update = values::from_json("multi-target update", &record.body)?;
            lines.push(Line { id: id.to_owned(), update, record, member });
        }
        Ok(lines)
    })
}

fn line(fleet: &Fleet, device: &str, update: &str) -> Result<Line> {
    let found = lines(fleet, device)?.into_iter().find(|line| line.id == update);
    found.ok_or_else(|| Error::not_found("update of the device", update))
}

pub(super) async fn of_device(
    admin: Admin,
    GatewayNames(device): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let shown = admin
        .act(Scope::Read, move |fleet, _| {
            let mut shown = scheduled(fleet, &device)?;
            shown.extend(lines(fleet, &device)?.iter().map(Line::shown));
            Ok(shown)
        })
        .await?;
    let (shown, total) = window.cut(shown);
    Ok(page(shown, total, window))
}

/// What a device will be told at a time.
fn scheduled(fleet: &Fleet, device: &str) -> Result<Vec<Value>> {
    let mut shown = Vec::new();
    for one in fleet.scheduled_updates(device)? {
        let update = fleet.update(&one.update)?;
        shown.push(json!({
            "updateId": one.update,
            "status": "Scheduled",
            "createdAt": null,
            "scheduledFor": one.due_at.to_string(),
            "completedAt": null,
            "packages": packages(&update),
        }));
    }
    Ok(shown)
}

/// What each sort of hardware is to run.
fn packages(update: &MultiTargetUpdate) -> Map<String, Value> {
    let targets = update.targets.iter();
    targets.map(|(hardware, change)| (hardware.clone(), change.to.target.as_str().into())).collect()
}

pub(super) async fn show(
    admin: Admin,
    GatewayNames((device, update)): GatewayNames<(String, String)>,
) -> Result<Json<Value>, GatewayError> {
    let found = admin.act(Scope::Read, move |fleet, _| {
        let mut scheduled = scheduled(fleet, &device)?.into_iter();
        match scheduled.find(|one| one["updateId"] == update.as_str()) {
            Some(one) => Ok(one),
            None => Ok(line(fleet, &device, &update)?.detailed()),
        }
    });
    Ok(Json(found.await?))
}

pub(super) async fn events(
    admin: Admin,
    GatewayNames((device, update)): GatewayNames<(String, String)>,
) -> Result<Json<Vec<Value>>, GatewayError> {
    let found = admin
        .act(Scope::Read, move |fleet, _| {
            let line = line(fleet, &device, &update)?;
            let correlation = line.member.assignment.map(|assignment| assignment.correlation);
            super::registry::device_events(fleet, &device, correlation.as_deref())
        })
        .await?;
    Ok(Json(found))
}

pub(super) async fn cancel(
    admin: Admin,
    GatewayNames((device, update)): GatewayNames<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, GatewayError> {
    let in_flight = in_flight(&headers)?;
    admin
        .act(Scope::Operate, move |fleet, operator| {
            if fleet.unschedule_update(&device, &update)? {
                return Ok(());
            }
            let active = fleet.queue(&device)?.map(|member| member.rollout);
            let line = line(fleet, &device, &update)?;
            if active.as_ref() != Some(&line.member.rollout) {
                return Err(Error::Conflict {
                    code: "update_not_active",
                    action: format!("cancel update {update} of device {device}"),
                    reason: "it has ended".to_owned(),
                });
            }
            fleet.cancel_assignment(operator, &device, in_flight)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The updates that were made last, whatever devices they reached.
pub(super) async fn list(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let (shown, total) = admin
        .act(Scope::Read, move |fleet, _| {
            fleet.database().read("list updates", |reader| {
                let (records, total) = assignments::page(reader, window.offset, window.limit)?;
                let mut shown = Vec::new();
                for record in records {
                    for member in assignments::members(reader, &record.release)? {
                        let device = member.device.clone();
                        let update = values::from_json("multi-target update", &record.body)?;
                        let id = record.id.clone();
                        let line = Line { id, update, record: record.clone(), member };
                        let mut one = line.shown();
                        one["deviceId"] = device.into();
                        shown.push(one);
                    }
                }
                Ok((shown, total))
            })
        })
        .await?;
    Ok(page(shown, total, window))
}

pub(super) async fn devices(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
    words: Words,
) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let members = admin.act(Scope::Read, move |fleet, _| members(fleet, &id)).await?;
    let (members, total) = window.cut(members);
    let shown: Vec<Value> = members
        .iter()
        .map(|member| json!({ "deviceId": member.device, "status": status(member.state) }))
        .collect();
    Ok(page(shown, total, window))
}

fn members(fleet: &Fleet, id: &str) -> Result<Vec<MemberRecord>> {
    fleet.database().read("list an update's devices", |reader| {
        let record = assignments::require(reader, id)?;
        assignments::members(reader, &record.release)
    })
}

pub(super) async fn cancel_all(
    admin: Admin,
    GatewayNames(id): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Operate, move |fleet, operator| cancel_members(fleet, operator, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back what no device has fetched yet.
fn cancel_members(fleet: &Fleet, operator: &Operator, id: &str) -> Result<()> {
    let assigned = members(fleet, id)?.into_iter();
    let assigned = assigned.filter(|member| member.state == RolloutDeviceState::Assigned);
    let ids: Vec<String> = assigned.map(|member| member.device).collect();
    fleet.cancel_assignments(operator, &ids, InFlight::Spare)?;
    Ok(())
}
