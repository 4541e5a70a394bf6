//! Groups of rollouts: from hawkBit's rules to phases, and back.

use std::collections::BTreeSet;

use updraft_api::{NewPhase, PhaseState, Rollout, RolloutCounts, Threshold};
use updraft_hawkbit::management::{
    Condition, GroupBody, RolloutBody, RolloutGroup, Rules, TargetsPerStatus,
};

use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::hawkbit::parse;
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::rollouts::ScriptRollout;
use crate::storage::hawkbit::{Listing, devices};

/// What a condition is where none is given.
const DEFAULT_PERCENT: u8 = 50;
/// Numbers of groups begin with their rollout's, times this.
const GROUPS_PER_ROLLOUT: i64 = 1000;

impl Fleet {
    /// The phases of a rollout to these devices.
    pub(super) fn phases_of(&self, body: &RolloutBody, ids: &[String]) -> Result<Vec<NewPhase>> {
        let groups = match (&body.groups, body.amount_groups) {
            (Some(groups), _) if !groups.is_empty() => self.chosen(body, groups, ids)?,
            (_, Some(amount)) => {
                let most = updraft_rollout::allocate::MAX_PHASES;
                let amount = usize::try_from(amount).unwrap_or(usize::MAX);
                if amount == 0 || amount > most {
                    let message = format!("a rollout has 1 to {most} groups");
                    return Err(Error::hawkbit(Trouble::RolloutDefinition, message));
                }
                parts(ids, amount).into_iter().map(|ids| (ids, &body.rules)).collect()
            }
            _ => {
                let message = "either amountGroups or groups must be given";
                return Err(Error::hawkbit(Trouble::RolloutDefinition, message));
            }
        };
        groups.into_iter().map(|(ids, rules)| phase(ids, rules, &body.rules)).collect()
    }

    /// The devices of groups that say which they want; each device is in the first that does.
    fn chosen<'a>(
        &self,
        body: &'a RolloutBody,
        groups: &'a [GroupBody],
        ids: &[String],
    ) -> Result<Vec<(Vec<String>, &'a Rules)>> {
        let refuse = |message: String| Err(Error::hawkbit(Trouble::RolloutDefinition, message));
        let mut rest: Vec<String> = ids.to_vec();
        let mut found = Vec::with_capacity(groups.len());
        for group in groups {
            let percent = group.target_percentage.unwrap_or(100.0);
            if !(percent > 0.0 && percent <= 100.0) {
                return refuse(format!("group {} has {percent} per cent", group.name));
            }
            let fitting: Vec<String> = match group.target_filter_query.as_deref() {
                None | Some("") => rest.clone(),
                Some(query) => {
                    let meeting =
                        self.meeting(&format!("({}) and ({query})", body.target_filter_query))?;
                    rest.iter().filter(|id| meeting.contains(*id)).cloned().collect()
                }
            };
            let wanted = share(percent, fitting.len());
            let taken: BTreeSet<String> = fitting.into_iter().take(wanted).collect();
            rest.retain(|id| !taken.contains(id));
            found.push((taken.into_iter().collect(), &group.rules));
        }
        if !rest.is_empty() {
            return refuse(format!("{} targets are in no group", rest.len()));
        }
        Ok(found)
    }

    fn meeting(&self, query: &str) -> Result<BTreeSet<String>> {
        let (condition, parameters) =
            filter::condition(Entity::Target, &parse(query)?, self.times()?)?;
        let listing = Listing {
            condition,
            parameters,
            order: "t.device".to_owned(),
            limit: u32::MAX,
            offset: 0,
        };
        let (found, _) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        Ok(found.into_iter().map(|device| device.id).collect())
    }
}

/// These, in so many parts of the same size, as far as that goes; parts may be empty.
pub fn parts(ids: &[String], amount: usize) -> Vec<Vec<String>> {
    let mut rest = ids;
    (0..amount)
        .map(|index| {
            let size = rest.len().div_ceil(amount.saturating_sub(index).max(1));
            let (part, others) = rest.split_at(size.min(rest.len()));
            rest = others;
            part.to_vec()
        })
        .collect()
}

/// `percent` per cent of `count`, rounded up.
fn share(percent: f64, count: usize) -> usize {
    let exact = percent / 100.0 * f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    // Within 0 to the count, for the percentage is.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    let rounded = exact.ceil() as usize;
    rounded.min(count)
}

fn phase(ids: Vec<String>, rules: &Rules, fallback: &Rules) -> Result<NewPhase> {
    let refuse = |message: String| Err(Error::hawkbit(Trouble::RolloutDefinition, message));
    let success_action = rules.success_action.as_ref().or(fallback.success_action.as_ref());
    if success_action.is_some_and(|action| action.action != "NEXTGROUP") {
        return refuse("the only successAction here is NEXTGROUP".to_owned());
    }
    let error_action = rules.error_action.as_ref().or(fallback.error_action.as_ref());
    if error_action.is_some_and(|action| action.action != "PAUSE") {
        return refuse("the only errorAction here is PAUSE".to_owned());
    }
    let success = rules.success_condition.as_ref().or(fallback.success_condition.as_ref());
    let error = rules.error_condition.as_ref().or(fallback.error_condition.as_ref());
    let failing = percent(error)?;
    // There, more than this share is too much; here, this share is.
    let allowed = ids.len().saturating_mul(usize::from(failing)) / 100;
    let minimum = u32::try_from(allowed).unwrap_or(u32::MAX).saturating_add(1);
    Ok(NewPhase {
        devices: Some(ids),
        success_threshold: Some(Threshold { percent: percent(success)?, minimum: 1 }),
        failure_threshold: Some(Threshold { percent: failing, minimum }),
        ..NewPhase::default()
    })
}

fn percent(condition: Option<&Condition>) -> Result<u8> {
    let Some(condition) = condition else { return Ok(DEFAULT_PERCENT) };
    let percent = condition.expression.trim().parse().ok().filter(|percent| *percent <= 100);
    match percent {
        Some(percent) if condition.condition == "THRESHOLD" => Ok(percent),
        _ => {
            let message = "a condition is a THRESHOLD of 0 to 100";
            Err(Error::hawkbit(Trouble::RolloutDefinition, message))
        }
    }
}

/// How many devices there are, and where they stand, in hawkBit's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub(super) total: u32,
    pub(super) per_status: TargetsPerStatus,
}

impl Count {
    pub(super) fn of(counts: RolloutCounts, has_begun: bool) -> Self {
        let waiting = counts.waiting;
        let per_status = TargetsPerStatus {
            running: counts
                .assigned
                .saturating_add(counts.started)
                .saturating_add(counts.rolling_back),
            notstarted: if has_begun { 0 } else { waiting },
            scheduled: if has_begun { waiting } else { 0 },
            cancelled: counts
                .cancelled
                .saturating_add(counts.skipped)
                .saturating_add(counts.rolled_back),
            finished: counts.succeeded.saturating_sub(counts.unhealthy),
            error: counts
                .failed
                .saturating_add(counts.rollback_failed)
                .saturating_add(counts.unhealthy),
        };
        Self { total: counts.total.saturating_add(counts.skipped), per_status }
    }
}

/// The groups of a rollout.
pub(super) fn shown(found: &ScriptRollout, seen: &Rollout) -> Vec<RolloutGroup> {
    let has_begun = seen.begun_at.is_some();
    let wanted = found.request.groups.as_deref().unwrap_or_default();
    (0_i64..)
        .zip(&seen.phases)
        .map(|(index, phase)| {
            let number = index.saturating_add(1);
            let body = usize::try_from(index).ok().and_then(|index| wanted.get(index));
            let count = Count::of(phase.counts, has_begun);
            let name = body.map(|body| body.name.clone()).filter(|name| !name.is_empty());
            RolloutGroup {
                stamp: found.stamp.clone(),
                id: found.id.saturating_mul(GROUPS_PER_ROLLOUT).saturating_add(number),
                name: name.unwrap_or_else(|| format!("group-{number}")),
                description: body.and_then(|body| body.description.clone()),
                status: match phase.state {
                    PhaseState::Waiting if has_begun => "scheduled",
                    PhaseState::Waiting => "ready",
                    PhaseState::Running => "running",
                    PhaseState::Succeeded => "finished",
                    PhaseState::Failed => "error",
                }
                .to_owned(),
                target_filter_query: body
                    .and_then(|body| body.target_filter_query.clone())
                    .unwrap_or_default(),
                target_percentage: body.and_then(|body| body.target_percentage).unwrap_or(100.0),
                total_targets: count.total,
                total_targets_per_status: count.per_status,
                rules: body.map_or_else(|| found.request.rules.clone(), |body| body.rules.clone()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{parts, share};

    #[test]
    fn parts_are_of_the_same_size_as_far_as_that_goes() {
        let ids: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let sizes = |amount| parts(&ids, amount).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(2), [3, 2]);
        assert_eq!(sizes(3), [2, 2, 1]);
        assert_eq!(sizes(7), [1, 1, 1, 1, 1, 0, 0]);
        assert_eq!((share(33.4, 3), share(100.0, 7), share(0.1, 5)), (2, 7, 1));
    }
}
