//! Devices as operators see them, and what operators do with them.

use updraft_api::{
    Assignment, AssignmentState, Device, DeviceState, DeviceSummary, Event, EventKind, Page,
    RolloutDeviceState,
};

use super::Fleet;
use super::facts::{self, Facts};
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::storage::devices::{self, DeviceRecord};
use crate::storage::events::{self, Filter, NewEvent};
use crate::storage::rollouts::{self, MemberRecord};
use crate::storage::sql::Connection;
use crate::storage::{groups, mender, metadata, pins, values};

impl Fleet {
    /// One page of the devices, only those of `group` when one is given.
    pub fn devices(
        &self,
        group: Option<&str>,
        after: &str,
        limit: u32,
    ) -> Result<Page<DeviceSummary>> {
        self.database.read("list devices", |reader| {
            if let Some(group) = group {
                groups::require(reader, group)?;
            }
            let records = devices::list(reader, group, after, limit.saturating_add(1))?;
            let page = values::page(records, limit, |record| record.id.clone());
            let items = page
                .items
                .iter()
                .map(|record| self.summary(reader, record))
                .collect::<Result<Vec<_>>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// One device.
    pub fn device(&self, id: &str) -> Result<Device> {
        self.database.read("read a device", |reader| {
            let record = devices::require(reader, id)?;
            let summary = self.summary(reader, &record)?;
            let mut components = Vec::new();
            for component in devices::components(reader, id)? {
                let primary = record.primary_serial.as_ref() == Some(&component.serial);
                components.push(devices::shown(reader, &component, primary)?);
            }
            components.sort_by_key(|component| !component.primary);
            let document = |kind| -> Result<Option<serde_json::Value>> {
                let body = devices::document(reader, id, kind)?;
                Ok(body.and_then(|body| serde_json::from_slice(&body).ok()))
            };
            Ok(Device {
                id: summary.id,
                state: summary.state,
                registered_at: summary.registered_at,
                last_seen: summary.last_seen,
                groups: summary.groups,
                primary_serial: record.primary_serial,
                components,
                assignment: summary.assignment,
                pinned: summary.pinned,
                last_report: record.last_report,
                system_info: document("system_info")?,
                network: document("network")?,
                slots: document("slots")?.and_then(|slots| serde_json::from_value(slots).ok()),
            })
        })
    }

    pub(super) fn summary(
        &self,
        reader: &Connection,
        record: &DeviceRecord,
    ) -> Result<DeviceSummary> {
        let components = devices::components(reader, &record.id)?;
        let primary = components
            .iter()
            .find(|component| record.primary_serial.as_ref() == Some(&component.serial));
        let active = rollouts::active(reader, &record.id)?;
        let installed = match primary {
            Some(primary) => devices::installed(reader, primary)?,
            None => None,
        };
        let state = state(reader, record, installed.is_some(), active.as_ref())?;
        let assignment = match active {
            Some(active) => shown(reader, &active)?,
            None => None,
        };
        Ok(DeviceSummary {
            id: record.id.clone(),
            state,
            registered_at: record.registered_at,
            last_seen: self.unwritten_last_seen(&record.id).or(record.last_seen),
            groups: groups::of_device(reader, &record.id)?,
            hardware_id: primary.map(|primary| primary.hardware_id.clone()),
            installed,
            assignment,
            pinned: pins::get(reader, &record.id)?,
        })
    }

    /// What happened to a device, oldest first.
    pub fn device_events(&self, id: &str, after: u64, limit: u32) -> Result<Page<Event>> {
        let filter = Filter { device: Some(id), rollout: None };
        self.database.read("list events", |reader| {
            let page = events::list(reader, filter, after, limit)?;
            if page.items.is_empty() && after == 0 {
                devices::require(reader, id)?;
            }
            Ok(page)
        })
    }

    /// What happened, oldest first.
    pub fn events(&self, filter: Filter<'_>, after: u64, limit: u32) -> Result<Page<Event>> {
        self.database.read("list events", |reader| events::list(reader, filter, after, limit))
    }

    /// Deletes a device with all that is known of it, events excepted. Its certificate is refused
    /// from then on.
    pub fn delete_device(&self, operator: &Operator, id: &str) -> Result<()> {
        let now = self.now();
        self.database.write("delete a device", |tx| {
            devices::require(tx, id)?;
            metadata::remember_director_version(tx, id)?;
            let skipped = RolloutDeviceState::Skipped;
            for member in rollouts::open_of_device(tx, id)? {
                let reason = Some("the device was deleted");
                rollouts::set_member_state(tx, &member.rollout, id, skipped, reason, now)?;
            }
            devices::delete(tx, id)?;
            mender::remove(tx, id)?;
            let actor = operator.actor();
            let message = format!("device {id} was deleted");
            let event = NewEvent::new(EventKind::DeviceDeleted, &actor, message).device(id);
            events::append(tx, now, &event)
        })?;
        self.forget_seen(id);
        self.hawkbit.polls.forget(id);
        self.kick();
        Ok(())
    }

    /// Refuses a device's certificate from now on, and keeps what is known of the device.
    pub fn revoke_device(&self, operator: &Operator, id: &str) -> Result<Device> {
        let now = self.now();
        self.database.write("revoke a device", |tx| {
            devices::require(tx, id)?;
            if !devices::revoke(tx, id, now)? {
                return Ok(());
            }
            let actor = operator.actor();
            let message = format!("device {id} was revoked");
            let event = NewEvent::new(EventKind::DeviceRevoked, &actor, message).device(id);
            events::append(tx, now, &event)
        })?;
        self.hawkbit.polls.forget(id);
        self.kick();
        self.device(id)
    }

    /// Stores what a device says about itself.
    pub fn store_document(&self, device: &str, kind: &str, body: &[u8]) -> Result<()> {
        let now = self.now();
        let known = self
            .database
            .read("read a device's document", |reader| devices::document(reader, device, kind))?;
        if known.as_deref() == Some(body) {
            return Ok(());
        }
        self.database.write_together("store a device's document", |tx| {
            devices::put_document(tx, device, kind, body, now)?;
            if kind == facts::SOURCE {
                let known = Facts::of(body).to_bytes()?;
                devices::put_document(tx, device, facts::KIND, &known, now)?;
            }
            Ok(())
        })
    }

    /// Appends what a device wants known. What it has sent before is not appended again.
    pub fn store_device_events(&self, device: &str, reports: &[serde_json::Value]) -> Result<()> {
        if reports.len() > MAX_DEVICE_EVENTS {
            return Err(Error::TooLarge {
                what: "the list of events",
                limit: MAX_DEVICE_EVENTS as u64,
            });
        }
        if !reports.iter().all(serde_json::Value::is_object) {
            return Err(Error::invalid("the list of events", "an event is not an object"));
        }
        let now = self.now();
        let actor = format!("device:{device}");
        self.database.write_together("append events", |tx| {
            for report in reports {
                let id = report.get("id").and_then(serde_json::Value::as_str);
                if let Some(id) = id
                    && events::has_sent_id(tx, device, id)?
                {
                    continue;
                }
                let kind = report.pointer("/eventType/id").and_then(serde_json::Value::as_str);
                let kind: String = kind.unwrap_or("event").chars().take(80).collect();
                let message = format!("device {device} reports {}", kind.escape_default());
                let event = NewEvent::new(EventKind::DeviceReport, &actor, message)
                    .device(device)
                    .data(report.clone());
                events::append(tx, now, &event)?;
            }
            Ok(())
        })
    }
}

/// The most events that a device may send at once.
pub const MAX_DEVICE_EVENTS: usize = 1000;

fn state(
    reader: &Connection,
    record: &DeviceRecord,
    has_reported: bool,
    active: Option<&MemberRecord>,
) -> Result<DeviceState> {
    if record.revoked_at.is_some() {
        return Ok(DeviceState::Revoked);
    }
    if let Some(active) = active {
        let started = active.state == RolloutDeviceState::Started
            || active.assignment.as_ref().is_some_and(|one| one.started_at.is_some());
        return Ok(if started { DeviceState::Updating } else { DeviceState::Assigned });
    }
    if !has_reported {
        return Ok(DeviceState::Registered);
    }
    let last = rollouts::last_ended(reader, &record.id)?;
    let failed =
        matches!(last, Some(RolloutDeviceState::Failed | RolloutDeviceState::RollbackFailed));
    Ok(if failed { DeviceState::Failed } else { DeviceState::Idle })
}

fn shown(reader: &Connection, member: &MemberRecord) -> Result<Option<Assignment>> {
    let Some(assignment) = &member.assignment else { return Ok(None) };
    let rollout = rollouts::require(reader, &member.rollout)?;
    Ok(Some(Assignment {
        correlation_id: assignment.correlation.clone(),
        release: rollout.request.release,
        rollout: member.rollout.clone(),
        state: match member.state {
            RolloutDeviceState::RollingBack if assignment.started_at.is_some() => {
                AssignmentState::Started
            }
            RolloutDeviceState::Waiting
            | RolloutDeviceState::Assigned
            | RolloutDeviceState::RollingBack => AssignmentState::Assigned,
            RolloutDeviceState::Started => AssignmentState::Started,
            RolloutDeviceState::Succeeded | RolloutDeviceState::RolledBack => {
                AssignmentState::Succeeded
            }
            RolloutDeviceState::Failed | RolloutDeviceState::RollbackFailed => {
                AssignmentState::Failed
            }
            RolloutDeviceState::Cancelled | RolloutDeviceState::Skipped => {
                AssignmentState::Cancelled
            }
        },
        assigned_at: assignment.assigned_at,
        started_at: assignment.started_at,
    }))
}
