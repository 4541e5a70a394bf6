//! Rollouts as operators see them. How they are created is in [`create`], how they are steered in
//! [`steer`]; what happens on its own is in [`reconcile`](super::reconcile).

pub mod create;
pub(in crate::fleet) mod rules;
pub mod steer;

use std::collections::BTreeMap;

use updraft_api::{
    NewRollout, Page, Phase, PhaseSelector, PhaseState, Rollout, RolloutCounts, RolloutDevice,
    RolloutDeviceState,
};
use updraft_rollout::{Tally, Verdict};

use super::Fleet;
use super::reconcile::situation::unhealthy_by_phase;
use crate::error::Result;
use crate::storage::rollouts::{self, MemberRecord, RolloutRecord};
use crate::storage::sql::Connection;
use crate::storage::values;

impl Fleet {
    /// One rollout.
    pub fn rollout(&self, name: &str) -> Result<Rollout> {
        self.database
            .read("read a rollout", |reader| shown(reader, &rollouts::require(reader, name)?))
    }

    /// One page of the rollouts.
    pub fn rollouts(&self, after: &str, limit: u32) -> Result<Page<Rollout>> {
        self.database.read("list rollouts", |reader| {
            let records = rollouts::list(reader, after, limit.saturating_add(1))?;
            let page = values::page(records, limit, |record| record.request.name.clone());
            let items = page
                .items
                .iter()
                .map(|record| shown(reader, record))
                .collect::<Result<Vec<_>>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// One page of a rollout's devices, by id.
    pub fn rollout_devices(
        &self,
        name: &str,
        after: &str,
        limit: u32,
    ) -> Result<Page<RolloutDevice>> {
        self.database.read("list a rollout's devices", |reader| {
            rollouts::require(reader, name)?;
            let members = rollouts::members_page(reader, name, after, limit.saturating_add(1))?;
            let items = members.into_iter().map(shown_member).collect();
            Ok(values::page(items, limit, |member: &RolloutDevice| member.device.clone()))
        })
    }
}

pub(in crate::fleet) fn shown(reader: &Connection, record: &RolloutRecord) -> Result<Rollout> {
    let request = &record.request;
    let unhealthy = unhealthy_by_phase(reader, &request.name)?;
    let phases = shown_phases(reader, record, &unhealthy)?;
    let mut total = RolloutCounts::default();
    for phase in &phases {
        add(&mut total, phase.counts);
    }
    Ok(Rollout {
        name: request.name.clone(),
        release: request.release.clone(),
        state: record.state,
        reason: record.reason.clone(),
        scope: request.scope.clone(),
        current_phase: record.current_phase,
        phases,
        success_threshold: request.success_threshold,
        failure_threshold: request.failure_threshold,
        device_timeout_seconds: request.device_timeout_seconds,
        on_failure: request.on_failure,
        rollback_release: request.rollback_release.clone(),
        starts_at: request.starts_at,
        begun_at: record.begun_at,
        needs_approval: request.needs_approval,
        decision: record.decision.clone(),
        rate: request.rate,
        max_active: request.max_active,
        max_bytes_per_second: request.max_bytes_per_second,
        max_attempts: request.max_attempts,
        windows: request.windows.clone(),
        time_zone: request.time_zone.clone(),
        action: request.action,
        takes_over: request.takes_over,
        created_by: record.created_by.clone(),
        counts: total,
        created_at: record.created_at,
        ended_at: record.ended_at,
    })
}

fn shown_phases(
    reader: &Connection,
    record: &RolloutRecord,
    unhealthy: &BTreeMap<u32, u32>,
) -> Result<Vec<Phase>> {
    let request = &record.request;
    let rules = rules::phases(request, &record.accepted_failures)?;
    let by_phase = rollouts::counts(reader, &request.name, rules.len())?;
    let mut phases = Vec::with_capacity(rules.len());
    for (((index, new), rule), mut counts) in
        (0_u32..).zip(request.all_phases()).zip(rules).zip(by_phase)
    {
        counts.unhealthy = unhealthy.get(&index).copied().unwrap_or(0);
        let state = if index > record.current_phase || record.begun_at.is_none() {
            PhaseState::Waiting
        } else {
            match tally(counts).verdict(&rule) {
                Verdict::Open => PhaseState::Running,
                Verdict::Succeeded => PhaseState::Succeeded,
                Verdict::Failed | Verdict::Exhausted => PhaseState::Failed,
            }
        };
        let is_current = index == record.current_phase;
        phases.push(Phase {
            // One without a selector was refused.
            selector: new.selector().unwrap_or(PhaseSelector::Devices(Vec::new())),
            state,
            counts,
            success_threshold: new.success_threshold.unwrap_or(request.success_threshold),
            failure_threshold: new.failure_threshold.unwrap_or(request.failure_threshold),
            soak_seconds: rule.soak.as_secs(),
            soaking_since: record.soaking_since.filter(|_| is_current),
            accepted_failures: rule.accepted_failures,
        });
    }
    Ok(phases)
}

/// How many devices count how, as the planner counts them.
fn tally(counts: RolloutCounts) -> Tally {
    let sum = |numbers: &[u32]| numbers.iter().fold(0_u32, |sum, one| sum.saturating_add(*one));
    Tally {
        size: counts.total,
        open: sum(&[counts.waiting, counts.assigned, counts.started, counts.rolling_back]),
        succeeded: counts.succeeded.saturating_sub(counts.unhealthy),
        failed: sum(&[counts.failed, counts.rolled_back, counts.rollback_failed, counts.unhealthy]),
    }
}

/// How many failures of each phase the planner counts now.
pub(in crate::fleet) fn failures(reader: &Connection, request: &NewRollout) -> Result<Vec<u32>> {
    let unhealthy = unhealthy_by_phase(reader, &request.name)?;
    let counts = rollouts::counts(reader, &request.name, request.all_phases().len())?;
    Ok((0_u32..)
        .zip(counts)
        .map(|(phase, mut counts)| {
            counts.unhealthy = unhealthy.get(&phase).copied().unwrap_or(0);
            tally(counts).failed
        })
        .collect())
}

fn add(total: &mut RolloutCounts, counts: RolloutCounts) {
    for (state, number) in [
        (RolloutDeviceState::Waiting, counts.waiting),
        (RolloutDeviceState::Assigned, counts.assigned),
        (RolloutDeviceState::Started, counts.started),
        (RolloutDeviceState::Succeeded, counts.succeeded),
        (RolloutDeviceState::Failed, counts.failed),
        (RolloutDeviceState::Cancelled, counts.cancelled),
        (RolloutDeviceState::Skipped, counts.skipped),
        (RolloutDeviceState::RollingBack, counts.rolling_back),
        (RolloutDeviceState::RolledBack, counts.rolled_back),
        (RolloutDeviceState::RollbackFailed, counts.rollback_failed),
    ] {
        rollouts::add_count(total, state, number);
    }
    total.unhealthy = total.unhealthy.saturating_add(counts.unhealthy);
}

fn shown_member(member: MemberRecord) -> RolloutDevice {
    RolloutDevice {
        device: member.device,
        phase: member.phase,
        state: member.state,
        reason: member.reason,
        changed_at: member.changed_at,
        attempts: member.attempts,
        via: member.via,
        bytes: None,
    }
}
