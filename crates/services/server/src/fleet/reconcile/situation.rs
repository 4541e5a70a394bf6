//! What the planner is told about a rollout.

use std::collections::BTreeMap;

use jiff::Timestamp;
use updraft_api::{Freeze, Release, RolloutDeviceState, RolloutState};
use updraft_rollout::{Availability, Health, Member, Progress, Rollout, State, parse_time_zone};

use super::fit::{self, Subject};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::fleet::rollouts::rules;
use crate::storage::rollouts::{self, MemberRecord, RolloutRecord};
use crate::storage::sql::Connection;
use crate::storage::{devices, freezes, groups, pins, releases};

/// What the planner is told about a rollout. Devices of phases that have not begun count as busy:
/// the round after the one that begins their phase looks at them.
pub(in crate::fleet) fn situation(
    fleet: &Fleet,
    reader: &Connection,
    record: &RolloutRecord,
    now: Timestamp,
) -> Result<Rollout> {
    let request = &record.request;
    let outlook = Outlook::read(reader, record, now)?;
    let unhealthy = rollouts::members::unhealthy(reader, &request.name)?;
    let is_back = record.state == RolloutState::RollingBack;
    let mut members = Vec::new();
    for one in rollouts::members(reader, &request.name)? {
        let mut member = Member::new(&one.device, one.phase);
        member.progress = progress(one.state);
        member.assigned_at = one.assignment.as_ref().map(|assignment| assignment.assigned_at);
        member.attempts = one.attempts;
        if unhealthy.contains_key(&one.device) {
            member.health = Health::Failing;
        }
        outlook.add(reader, &one, &mut member)?;
        if is_back {
            member.way_back = super::back::way_back(fleet, reader, request, &one)?;
        }
        members.push(member);
    }
    Ok(Rollout {
        state: state(record.state),
        starts_at: request.starts_at,
        begun_at: record.begun_at,
        phases: rules::phases(request, &record.accepted_failures)?,
        current_phase: record.current_phase,
        soaking_since: record.soaking_since,
        on_failure: rules::on_failure(request),
        limits: rules::limits(request),
        windows: rules::windows(request)?,
        device_timeout: request.device_timeout_seconds.map(std::time::Duration::from_secs),
        members,
    })
}

fn state(state: RolloutState) -> State {
    match state {
        RolloutState::WaitingForApproval | RolloutState::Ready => State::Held,
        RolloutState::Scheduled => State::Scheduled,
        RolloutState::Running => State::Running,
        RolloutState::Paused => State::Paused,
        RolloutState::RollingBack => State::RollingBack,
        RolloutState::Denied
        | RolloutState::Finished
        | RolloutState::Stopped
        | RolloutState::RolledBack => State::Ended,
    }
}

fn progress(state: RolloutDeviceState) -> Progress {
    match state {
        RolloutDeviceState::Waiting => Progress::Waiting,
        RolloutDeviceState::Assigned => Progress::Assigned,
        RolloutDeviceState::Started => Progress::Started,
        RolloutDeviceState::Succeeded => Progress::Succeeded,
        RolloutDeviceState::Failed => Progress::Failed,
        RolloutDeviceState::Cancelled => Progress::Cancelled,
        RolloutDeviceState::Skipped => Progress::Skipped,
        RolloutDeviceState::RollingBack => Progress::RollingBack,
        RolloutDeviceState::RolledBack => Progress::RolledBack,
        RolloutDeviceState::RollbackFailed => Progress::RollbackFailed,
    }
}

/// What is the same for all devices of a rollout.
pub(in crate::fleet) struct Outlook<'a> {
    record: &'a RolloutRecord,
    release: Release,
    freezes: Vec<Freeze>,
}

impl<'a> Outlook<'a> {
    pub(in crate::fleet) fn read(
        reader: &Connection,
        record: &'a RolloutRecord,
        now: Timestamp,
    ) -> Result<Self> {
        let release = releases::require(reader, &record.request.release)?;
        Ok(Self { record, release, freezes: freezes::current(reader, now)? })
    }

    /// Says what can be told to a device now.
    fn add(&self, reader: &Connection, one: &MemberRecord, member: &mut Member) -> Result<()> {
        // A failed device may have another attempt, and a rollback may touch every one that was told.
        let may_be_gone = !one.state.is_final()
            || one.state == RolloutDeviceState::Failed
            || self.record.state == RolloutState::RollingBack;
        if may_be_gone && is_gone(reader, &one.device)? {
            member.availability = Availability::Gone;
            return Ok(());
        }
        let told = matches!(one.state, RolloutDeviceState::Waiting | RolloutDeviceState::Assigned);
        if !told {
            return Ok(());
        }
        if one.phase > self.record.current_phase {
            member.availability = Availability::Busy;
            return Ok(());
        }
        let subject = Subject::read(reader, &one.device)?;
        self.add_hours(reader, &subject, member)?;
        if one.state == RolloutDeviceState::Waiting {
            member.availability = self.availability(reader, &one.device, &subject)?;
        }
        Ok(())
    }

    /// When it may be told: where it is, and whether nobody may be told anything there.
    pub(in crate::fleet) fn add_hours(
        &self,
        reader: &Connection,
        subject: &Subject,
        member: &mut Member,
    ) -> Result<()> {
        if !self.record.request.windows.is_empty() {
            let zone = subject.time_zone(reader)?;
            member.time_zone = zone.and_then(|zone| parse_time_zone(&zone).ok());
        }
        member.frozen = if self.freezes.is_empty() {
            false
        } else {
            let groups = groups::of_device(reader, &member.device)?;
            self.freezes.iter().any(|freeze| {
                freeze.groups.is_empty() || groups.iter().any(|one| freeze.groups.contains(one))
            })
        };
        Ok(())
    }

    pub(in crate::fleet) fn availability(
        &self,
        reader: &Connection,
        device: &str,
        subject: &Subject,
    ) -> Result<Availability> {
        if pins::get(reader, device)?.is_some() {
            return Ok(Availability::Pinned);
        }
        let Some(told) = subject.fitting(&self.release) else { return Ok(Availability::Unfit) };
        if !fit::is_valid(reader, &told)? {
            return Ok(Availability::Unfit);
        }
        if let Some(unable) = subject.cannot_be_told(reader, self.record.request.action)? {
            return Ok(unable);
        }
        if let Some(other) = rollouts::active(reader, device)? {
            let ended = rollouts::get(reader, &other.rollout)?
                .is_none_or(|rollout| rollout.state.is_final());
            // What a stopped rollout has begun gives way to a newer decision.
            return Ok(if ended { Availability::Free } else { Availability::Busy });
        }
        Ok(if subject.runs(&told) { Availability::Current } else { Availability::Free })
    }

    pub(in crate::fleet) fn release(&self) -> &Release {
        &self.release
    }
}

fn is_gone(reader: &Connection, device: &str) -> Result<bool> {
    Ok(devices::get(reader, device)?.is_none_or(|device| device.revoked_at.is_some()))
}

/// How many of each phase's devices are not well although they succeeded.
pub(in crate::fleet) fn unhealthy_by_phase(
    reader: &Connection,
    rollout: &str,
) -> Result<BTreeMap<u32, u32>> {
    let mut counts = BTreeMap::new();
    for phase in rollouts::members::unhealthy(reader, rollout)?.into_values() {
        let count: &mut u32 = counts.entry(phase).or_default();
        *count = count.saturating_add(1);
    }
    Ok(counts)
}
