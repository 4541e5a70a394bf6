//! Rollouts as scripts of hawkBit make and steer them: the same rollouts as all others, under numbers,
//! and with a release that is one distribution set.

mod groups;

use jiff::Timestamp;
use updraft_api::{
    NewRelease, NewRollout, OnFailure, ReleaseSet, RolloutAction, RolloutScope, RolloutState,
};
use updraft_hawkbit::management::{ActionKind, Rollout, RolloutBody, RolloutGroup, Target};

use super::assignment::check_set;
use super::{MAX_DESCRIPTION, MAX_NAME, Wanted, check_optional, check_text, parse};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::fleet::rollouts::{create, shown as look};
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::rollouts::{self as scripts, ScriptRollout};
use crate::storage::hawkbit::{By, Listing, devices, sets};
use crate::storage::sql::{Connection, Transaction};
use crate::storage::{releases, rollouts};

pub use groups::{Count, parts};

/// What a script does with a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of hawkBit's API")]
pub enum Verb {
    Start,
    Pause,
    Resume,
    Stop,
    Approve,
    Deny,
    TriggerNextGroup,
}

impl Fleet {
    /// Makes a rollout.
    pub fn make_script_rollout(&self, operator: &Operator, body: RolloutBody) -> Result<Rollout> {
        let body = self.checked(body)?;
        let query = parse(&body.target_filter_query)?;
        let (condition, parameters) = filter::condition(Entity::Target, &query, self.times()?)?;
        let mut listing = Listing {
            condition,
            parameters,
            order: "t.device".to_owned(),
            limit: u32::MAX,
            offset: 0,
        };
        listing.also("? = 0 AND d.revoked_at IS NULL", 0_i64);
        let (found, _) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        let ids: Vec<String> = found.into_iter().map(|device| device.id).collect();
        self.make_of(operator, &body, &ids)
    }

    /// Makes a rollout of the same set to the devices of a finished one that failed.
    pub fn retry_script_rollout(&self, operator: &Operator, id: i64) -> Result<Rollout> {
        let (mut body, failed) = self.database.read("read a rollout", |reader| {
            let found = scripts::require(reader, id)?;
            let record = rollouts::require(reader, &found.rollout())?;
            if record.state != RolloutState::Finished {
                let message = format!("rollout {id} is not finished");
                return Err(Error::hawkbit(Trouble::RolloutState, message));
            }
            let members = rollouts::members(reader, &found.rollout())?;
            let failed: Vec<String> = members
                .into_iter()
                .filter(|member| member.state == updraft_api::RolloutDeviceState::Failed)
                .map(|member| member.device)
                .collect();
            Ok((found.request, failed))
        })?;
        body.name = format!("{}_retry", body.name);
        body.target_filter_query = format!("id=in=({})", failed.join(","));
        body.groups = None;
        body.amount_groups = Some(1);
        self.make_of(operator, &body, &failed)
    }

    fn make_of(&self, operator: &Operator, body: &RolloutBody, ids: &[String]) -> Result<Rollout> {
        if ids.is_empty() {
            let message = "no target meets the rollout's query";
            return Err(Error::hawkbit(Trouble::RolloutDefinition, message));
        }
        let phases = self.phases_of(body, ids)?;
        let needs_approval = self.configuration_value("rollout.approval.enabled")?.value
            == serde_json::Value::Bool(true);
        let now = self.now();
        let actor = operator.actor();
        let by = By { actor: &actor, at: now };
        let made = self.database.write("make a rollout", |tx| {
            let id = scripts::insert(tx, body, by)?;
            let new = NewRollout {
                scope: RolloutScope::Devices(ids.to_vec()),
                phases: phases.clone(),
                on_failure: OnFailure::Pause,
                starts_at: body
                    .start_at
                    .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
                manual_start: body.start_at.is_none(),
                needs_approval,
                action: action_of(body),
                takes_over: true,
                ..NewRollout::new(scripts::name_of(id), release_of(tx, body, now)?)
            };
            create::insert(tx, &new, &actor, now)?;
            shown(tx, scripts::require(tx, id)?)
        })?;
        self.hawkbit.polls.forget_all();
        self.kick();
        Ok(made)
    }

    fn checked(&self, mut body: RolloutBody) -> Result<RolloutBody> {
        check_text("a rollout's name", &body.name, MAX_NAME)?;
        body.description =
            check_optional("a rollout's description", body.description, MAX_DESCRIPTION)?;
        let refuse = |message: &str| Err(Error::hawkbit(Trouble::Value, message));
        if body.weight.is_some_and(|weight| !(0..=1000).contains(&weight)) {
            return refuse("a weight must be 0 to 1000");
        }
        if body.dynamic {
            return refuse("dynamic rollouts are not offered; use an automatic assignment");
        }
        let name = body.name.clone();
        if self.database.read("find a rollout", |reader| scripts::has_name(reader, &name))? {
            return Err(Error::hawkbit(Trouble::Exists, format!("there is a rollout {name}")));
        }
        Ok(body)
    }

    /// One rollout.
    pub fn script_rollout(&self, id: i64) -> Result<Rollout> {
        self.database.read("read a rollout", |reader| shown(reader, scripts::require(reader, id)?))
    }

    /// A page of rollouts, and how many there are.
    pub fn script_rollouts(&self, wanted: &Wanted) -> Result<(Vec<Rollout>, u64)> {
        let listing = self.listing(Entity::Rollout, wanted)?;
        self.database.read("list rollouts", |reader| {
            let (found, total) = scripts::list(reader, &listing)?;
            let found = found.into_iter().map(|one| shown(reader, one));
            Ok((found.collect::<Result<_>>()?, total))
        })
    }

    /// Changes name and description of a rollout.
    pub fn change_script_rollout(
        &self,
        operator: &Operator,
        id: i64,
        name: Option<&str>,
        description: Option<String>,
    ) -> Result<Rollout> {
        if let Some(name) = name {
            check_text("a rollout's name", name, MAX_NAME)?;
        }
        let description = check_optional("a rollout's description", description, MAX_DESCRIPTION)?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("change a rollout", |tx| {
            let found = scripts::require(tx, id)?;
            let name = name.unwrap_or(&found.request.name);
            let description = description.clone().or(found.request.description);
            scripts::rename(tx, id, name, description.as_deref(), by)?;
            shown(tx, scripts::require(tx, id)?)
        })
    }

    /// Deletes a rollout: one that never began is gone; one that did is stopped and listed no more.
    pub fn delete_script_rollout(&self, operator: &Operator, id: i64) -> Result<()> {
        let (name, begun, ended) = self.database.read("read a rollout", |reader| {
            let name = scripts::require(reader, id)?.rollout();
            let record = rollouts::require(reader, &name)?;
            Ok((name, record.begun_at.is_some(), record.state.is_final()))
        })?;
        if begun && !ended {
            self.stop_rollout(operator, &name)?;
        }
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("delete a rollout", |tx| {
            if begun {
                return scripts::hide(tx, id, by);
            }
            rollouts::remove(tx, &name)?;
            scripts::remove(tx, id)
        })
    }

    /// Does something with a rollout.
    pub fn steer_script_rollout(
        &self,
        operator: &Operator,
        id: i64,
        verb: Verb,
        remark: Option<&str>,
    ) -> Result<()> {
        let (name, state) = self.database.read("read a rollout", |reader| {
            let name = scripts::require(reader, id)?.rollout();
            let state = rollouts::require(reader, &name)?.state;
            Ok((name, state))
        })?;
        // Here the same again is an error.
        let repeats = match verb {
            Verb::Start => state == RolloutState::Running,
            Verb::Pause => state != RolloutState::Running,
            Verb::Resume => state != RolloutState::Paused,
            Verb::Stop => state.is_final(),
            Verb::Approve | Verb::Deny => state != RolloutState::WaitingForApproval,
            Verb::TriggerNextGroup => false,
        };
        if repeats {
            let message = format!("rollout {id} is not in the state for this");
            return Err(Error::hawkbit(Trouble::RolloutState, message));
        }
        match verb {
            Verb::Start => self.start_rollout(operator, &name),
            Verb::Pause => self.pause_rollout(operator, &name),
            Verb::Resume => self.resume_rollout(operator, &name),
            Verb::Stop => self.stop_rollout(operator, &name),
            Verb::Approve => self.decide_rollout(operator, &name, true, remark),
            Verb::Deny => self.decide_rollout(operator, &name, false, remark),
            Verb::TriggerNextGroup => self.advance_rollout(operator, &name),
        }
        .map(drop)
    }

    /// The groups of a rollout.
    pub fn script_groups(&self, id: i64) -> Result<Vec<RolloutGroup>> {
        self.database.read("read a rollout", |reader| {
            let found = scripts::require(reader, id)?;
            let record = rollouts::require(reader, &found.rollout())?;
            Ok(groups::shown(&found, &look(reader, &record)?))
        })
    }

    /// A page of the devices of one group, and how many there are.
    pub fn script_group_targets(
        &self,
        id: i64,
        group: i64,
        wanted: &Wanted,
    ) -> Result<(Vec<Target>, u64)> {
        let groups = self.script_groups(id)?;
        let index = groups.iter().position(|one| one.id == group);
        let phase = index
            .and_then(|index| i64::try_from(index).ok())
            .ok_or_else(|| Error::not_found("rollout group", group.to_string()))?;
        let name = scripts::name_of(id);
        let condition = format!(
            "t.device IN (SELECT gm.device FROM rollout_devices gm
                 WHERE gm.rollout = '{name}' AND gm.phase = ?)"
        );
        self.targets_where(&condition, phase, wanted)
    }
}

/// The release that is a set: made when a rollout first needs it.
fn release_of(tx: &Transaction<'_>, body: &RolloutBody, now: Timestamp) -> Result<String> {
    let set = sets::require(tx, body.distribution_set_id)?;
    check_set(&set)?;
    let name = scripts::release_of(set.id);
    if releases::get(tx, &name)?.is_none() {
        let new = NewRelease {
            name: name.clone(),
            notes: format!("{} {}", set.name, set.version),
            distribution_sets: vec![ReleaseSet { id: set.id, ..ReleaseSet::default() }],
            ..NewRelease::default()
        };
        releases::insert(tx, &new, now)?;
    }
    Ok(name)
}

fn action_of(body: &RolloutBody) -> RolloutAction {
    match (body.confirmation_required, body.kind.unwrap_or_default()) {
        (Some(true), ActionKind::Forced) => RolloutAction::Consent,
        (_, ActionKind::Forced) => RolloutAction::Forced,
        (_, ActionKind::Soft | ActionKind::TimeForced) => RolloutAction::Soft,
        (_, ActionKind::DownloadOnly) => RolloutAction::DownloadOnly,
    }
}

fn shown(reader: &Connection, found: ScriptRollout) -> Result<Rollout> {
    let record = rollouts::require(reader, &found.rollout())?;
    let seen = look(reader, &record)?;
    let count = Count::of(seen.counts, record.begun_at.is_some());
    let request = found.request;
    Ok(Rollout {
        stamp: found.stamp,
        id: found.id,
        name: request.name,
        description: request.description,
        target_filter_query: request.target_filter_query,
        distribution_set_id: request.distribution_set_id,
        status: status_of(seen.state).to_owned(),
        total_targets: count.total,
        total_targets_per_status: count.per_status,
        total_groups: u32::try_from(seen.phases.len()).unwrap_or(u32::MAX),
        deleted: found.deleted,
        kind: request.kind.unwrap_or_default(),
        forcetime: request.forcetime,
        start_at: request.start_at,
        weight: request.weight,
        dynamic: false,
        approve_decided_by: seen.decision.as_ref().map(|decision| decision.by.clone()),
        approval_remark: seen.decision.and_then(|decision| decision.remark),
    })
}

/// What hawkBit calls a state.
pub(super) fn status_of(state: RolloutState) -> &'static str {
    match state {
        RolloutState::WaitingForApproval => "waiting_for_approval",
        RolloutState::Denied => "approval_denied",
        RolloutState::Ready | RolloutState::Scheduled => "ready",
        RolloutState::Running => "running",
        RolloutState::Paused => "paused",
        RolloutState::Finished => "finished",
        RolloutState::RollingBack => "stopping",
        RolloutState::Stopped | RolloutState::RolledBack => "stopped",
    }
}
