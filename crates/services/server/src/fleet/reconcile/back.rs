//! Giving devices back what they ran before a rollout.

use updraft_api::{NewRollout, RolloutDeviceState};
use updraft_rollout::WayBack;

use super::fit::{self, Subject, Told};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::storage::hawkbit::actions;
use crate::storage::releases;
use crate::storage::rollouts::{self, AssignedTarget, MemberRecord};
use crate::storage::sql::Connection;

/// What it takes to bring a device back.
pub(in crate::fleet) fn way_back(
    fleet: &Fleet,
    reader: &Connection,
    request: &NewRollout,
    member: &MemberRecord,
) -> Result<WayBack> {
    let was_told = matches!(
        member.state,
        RolloutDeviceState::Started | RolloutDeviceState::Succeeded | RolloutDeviceState::Failed
    );
    if !was_told || member.assignment.is_none() {
        return Ok(WayBack::Needless);
    }
    let elsewhere = rollouts::active(reader, &member.device)?
        .is_some_and(|active| active.rollout != request.name);
    let subject = Subject::read(reader, &member.device)?;
    if elsewhere || !has_release(reader, &subject, member)? {
        return Ok(WayBack::Needless);
    }
    Ok(match before(fleet, reader, request, member)? {
        Some(_) => WayBack::Needed,
        None => WayBack::Impossible,
    })
}

/// Whether a device has, or may be about to have, what it was told.
fn has_release(reader: &Connection, subject: &Subject, member: &MemberRecord) -> Result<bool> {
    if member.state == RolloutDeviceState::Started {
        return Ok(true);
    }
    if let Some(action) = member.action {
        let set = actions::get(reader, action)?.map(|action| action.set);
        return Ok(set.is_some() && set == subject.installed_set());
    }
    let targets = member.assignment.as_ref().map(|one| one.targets.as_slice()).unwrap_or_default();
    Ok(targets.iter().any(|target| subject.runs_target(target)))
}

/// What a device is told to come back: what it ran before, where that is known and published still, or
/// else what the release has for it that the rollout names for this.
pub(in crate::fleet) fn before(
    fleet: &Fleet,
    reader: &Connection,
    request: &NewRollout,
    member: &MemberRecord,
) -> Result<Option<Told>> {
    let ran = member.before.clone().unwrap_or_default();
    if let Some(told) = ran.set.map(Told::Set)
        && fit::is_valid(reader, &told)?
    {
        return Ok(Some(told));
    }
    let told = member.assignment.as_ref().map(|one| one.targets.as_slice()).unwrap_or_default();
    let is_whole =
        told.iter().all(|target| ran.targets.iter().any(|before| before.serial == target.serial));
    if !ran.targets.is_empty() && is_whole && are_published(fleet, &ran.targets)? {
        return Ok(Some(Told::Targets(ran.targets)));
    }
    let Some(name) = &request.rollback_release else { return Ok(None) };
    let release = releases::require(reader, name)?;
    Ok(Subject::read(reader, &member.device)?.fitting(&release))
}

/// Whether devices find these in the Image repository.
fn are_published(fleet: &Fleet, targets: &[AssignedTarget]) -> Result<bool> {
    let image = fleet.image_targets()?;
    Ok(targets.iter().all(|target| {
        image.find_target(&target.filepath).is_some_and(|(_, listed)| {
            listed.hashes.sha256() == Some(target.sha256.as_str()) && listed.length == target.length
        })
    }))
}
