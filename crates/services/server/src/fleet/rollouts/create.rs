//! Creating rollouts, and saying what would come of one.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use updraft_api::{
    EventKind, NewPhase, NewRollout, PhaseSelector, Rollout, RolloutDevice, RolloutDeviceState,
    RolloutPreview, RolloutScope, RolloutState,
};
use updraft_rollout::{Availability, Member, Selector, SkipReason, allocate};

use super::{rules, shown};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::fleet::reconcile::fit::{Download, Subject};
use crate::fleet::reconcile::situation::Outlook;
use crate::fleet::reconcile::take_over::take_over;
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::rollouts::{self, RolloutRecord};
use crate::storage::sql::{Connection, Transaction};
use crate::storage::{devices, groups, releases};

/// `/api/v1/rollouts/preview` is not a rollout of that name.
const RESERVED: &str = "preview";
/// The most ways from one commit to another whose bytes are counted for one preview: for each, two trees
/// are gone through.
const MAX_COMMITS: usize = 16;

impl Fleet {
    /// Creates a rollout, and begins it unless it is to wait. Its devices are fixed now.
    pub fn create_rollout(&self, operator: &Operator, new: &NewRollout) -> Result<Rollout> {
        let now = self.now();
        let rollout = self.database.write("create a rollout", |tx| {
            insert(tx, new, &operator.actor(), now)?;
            shown(tx, &rollouts::require(tx, &new.name)?)
        })?;
        self.hawkbit.polls.forget_all();
        self.kick();
        Ok(rollout)
    }

    /// What would come of a rollout: who would get it, who not and why, and how much they would fetch.
    /// Nothing is created.
    pub fn preview_rollout(&self, new: &NewRollout) -> Result<RolloutPreview> {
        let now = self.now();
        let (mut preview, downloads) = self.database.read("preview a rollout", |reader| {
            let (scope, phases) = divide(reader, new)?;
            let record = imagined(new, now);
            let outlook = Outlook::read(reader, &record, now)?;
            let mut preview = RolloutPreview {
                items: Vec::new(),
                next: None,
                devices: 0,
                current: 0,
                skipped: 0,
                unselected: 0,
                bytes: 0,
                bytes_unknown: 0,
            };
            let selected: usize = phases.iter().map(Vec::len).sum();
            preview.unselected = u32::try_from(scope.saturating_sub(selected)).unwrap_or(u32::MAX);
            let mut downloads = Vec::new();
            for (phase, ids) in (0_u32..).zip(phases) {
                for id in ids {
                    let (one, download) = look_ahead(reader, &outlook, new, (id, phase), now)?;
                    preview.items.push(one);
                    downloads.push(download);
                }
            }
            Ok((preview, downloads))
        })?;
        // Repositories are read without holding up the database.
        let mut commits = Commits { fleet: self, known: HashMap::new() };
        let mut items = std::mem::take(&mut preview.items);
        for (one, download) in items.iter_mut().zip(&downloads) {
            one.bytes = download.as_ref().map(|one| commits.bytes(one)).transpose()?.flatten();
            count(&mut preview, one);
        }
        preview.items = items;
        Ok(preview)
    }
}

/// How many bytes commits are, each looked up once.
struct Commits<'a> {
    fleet: &'a Fleet,
    known: HashMap<(Option<String>, String), Option<u64>>,
}

impl Commits<'_> {
    /// How many bytes a download has at most; none when that is not known.
    fn bytes(&mut self, download: &Download) -> Result<Option<u64>> {
        let mut sum = download.bytes;
        for commit in &download.commits {
            let bytes = match self.known.get(commit) {
                Some(bytes) => *bytes,
                None if self.known.len() >= MAX_COMMITS => None,
                None => {
                    let (from, to) = commit;
                    let bytes = self.fleet.bytes_of_commit(from.as_deref(), to)?;
                    self.known.insert(commit.clone(), bytes);
                    bytes
                }
            };
            let Some(bytes) = bytes else { return Ok(None) };
            sum = sum.saturating_add(bytes);
        }
        Ok(Some(sum))
    }
}

/// Adds a rollout with its devices, and begins it unless it is to wait.
pub(in crate::fleet) fn insert(
    tx: &Transaction<'_>,
    new: &NewRollout,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let (_, phases) = divide(tx, new)?;
    let state = if new.needs_approval { RolloutState::WaitingForApproval } else { ready(new, now) };
    rollouts::insert(tx, new, state, actor, now)?;
    for (phase, devices) in (0_u32..).zip(&phases) {
        rollouts::insert_members(tx, &new.name, devices, phase)?;
    }
    let count: usize = phases.iter().map(Vec::len).sum();
    let message =
        format!("rollout {} of release {} to {count} device(s) was created", new.name, new.release);
    let event = NewEvent::new(EventKind::RolloutCreated, actor, message).rollout(&new.name);
    events::append(tx, now, &event)?;
    if state == RolloutState::Running {
        take_over(tx, &new.name, actor, now)?;
    }
    Ok(())
}

/// Where a rollout goes on once nobody has to approve of it any more.
pub(in crate::fleet) fn ready(new: &NewRollout, now: Timestamp) -> RolloutState {
    if new.manual_start {
        return RolloutState::Ready;
    }
    match new.starts_at {
        Some(start) if start > now => RolloutState::Scheduled,
        _ => RolloutState::Running,
    }
}

fn imagined(new: &NewRollout, now: Timestamp) -> RolloutRecord {
    RolloutRecord {
        request: new.clone(),
        state: RolloutState::Running,
        reason: None,
        current_phase: 0,
        soaking_since: None,
        accepted_failures: Vec::new(),
        created_by: String::new(),
        decision: None,
        created_at: now,
        begun_at: Some(now),
        ended_at: None,
    }
}

/// What would come of one device.
fn look_ahead(
    reader: &Connection,
    outlook: &Outlook<'_>,
    new: &NewRollout,
    (id, phase): (String, u32),
    now: Timestamp,
) -> Result<(RolloutDevice, Option<Download>)> {
    let subject = Subject::read(reader, &id)?;
    let availability = outlook.availability(reader, &id, &subject)?;
    let next = subject.next_release(reader, outlook.release(), new.action)?;
    let via = (next.name != outlook.release().name).then(|| next.name.clone());
    let skipped = |reason: SkipReason| (RolloutDeviceState::Skipped, Some(reason.to_string()));
    let (state, reason) = match availability {
        Availability::Unfit => skipped(SkipReason::Unfit),
        Availability::Unable => skipped(SkipReason::Unable),
        Availability::Heedless => skipped(SkipReason::Heedless),
        Availability::Pinned => skipped(SkipReason::Pinned),
        Availability::Gone => skipped(SkipReason::Gone),
        Availability::Current => {
            (RolloutDeviceState::Succeeded, Some("it runs the release already".to_owned()))
        }
        Availability::Busy => {
            (RolloutDeviceState::Waiting, Some("another rollout has it now".to_owned()))
        }
        Availability::Free => {
            let mut member = Member::new(&id, phase);
            outlook.add_hours(reader, &subject, &mut member)?;
            let is_open = rules::windows(new)?.are_open(now, member.time_zone.as_ref());
            let reason = match (member.frozen, is_open) {
                (true, _) => Some("nothing is told to it now: a freeze".to_owned()),
                (false, false) => Some("its maintenance window is closed now".to_owned()),
                (false, true) => via.as_ref().map(|via| format!("it has to run {via} first")),
            };
            (RolloutDeviceState::Waiting, reason)
        }
    };
    let download = match (state, subject.fitting(outlook.release())) {
        (RolloutDeviceState::Waiting, Some(told)) => {
            Some(subject.download(reader, outlook.release(), &told)?)
        }
        _ => None,
    };
    let one = RolloutDevice {
        device: id,
        phase,
        state,
        reason,
        changed_at: None,
        attempts: 0,
        via,
        bytes: None,
    };
    Ok((one, download))
}

fn count(preview: &mut RolloutPreview, one: &RolloutDevice) {
    let field = match one.state {
        RolloutDeviceState::Succeeded => &mut preview.current,
        RolloutDeviceState::Skipped => &mut preview.skipped,
        _ => &mut preview.devices,
    };
    *field = field.saturating_add(1);
    match (one.state, one.bytes) {
        (_, Some(bytes)) => preview.bytes = preview.bytes.saturating_add(bytes),
        (RolloutDeviceState::Waiting, None) => {
            preview.bytes_unknown = preview.bytes_unknown.saturating_add(1);
        }
        _ => {}
    }
}

/// How many devices the rollout is about, and those of each phase, as it would be created now.
fn divide(reader: &Connection, new: &NewRollout) -> Result<(usize, Vec<Vec<String>>)> {
    names::name("rollout name", &new.name)?;
    if new.name == RESERVED {
        let reason = format!("`{RESERVED}` has a meaning in addresses; choose another name");
        return Err(Error::invalid("the rollout", reason));
    }
    releases::require(reader, &new.release)?;
    if let Some(back) = &new.rollback_release {
        releases::require(reader, back)?;
    }
    rules::check(new)?;
    let scope = scope(reader, &new.scope)?;
    let selectors = new
        .all_phases()
        .iter()
        .enumerate()
        .map(|(index, phase)| selector(reader, index, phase))
        .collect::<Result<Vec<_>>>()?;
    let phases = allocate(&new.name, &scope, &selectors).map_err(Error::Rollout)?;
    if phases.iter().all(Vec::is_empty) {
        return Err(Error::invalid("the rollout", "it is about no device"));
    }
    Ok((scope.len(), phases))
}

fn scope(reader: &Connection, scope: &RolloutScope) -> Result<BTreeSet<String>> {
    let accepted: BTreeSet<String> = devices::accepted_ids(reader)?.into_iter().collect();
    match scope {
        RolloutScope::All => Ok(accepted),
        RolloutScope::Groups(names) => {
            let mut members = BTreeSet::new();
            for name in names {
                groups::require(reader, name)?;
                members.extend(groups::devices(reader, name)?);
            }
            Ok(members.intersection(&accepted).cloned().collect())
        }
        RolloutScope::Devices(ids) => {
            if let Some(id) = ids.iter().find(|id| !accepted.contains(*id)) {
                return Err(Error::not_found("device", id.as_str()));
            }
            Ok(ids.iter().cloned().collect())
        }
    }
}

fn selector(reader: &Connection, index: usize, phase: &NewPhase) -> Result<Selector> {
    let selector = phase.selector().ok_or_else(|| {
        let number = index.saturating_add(1);
        let reason =
            format!("phase {number} must have exactly one of `percent`, `group` and `devices`");
        Error::invalid("the rollout", reason)
    })?;
    Ok(match selector {
        PhaseSelector::Percent(percent) => Selector::Percent(percent),
        PhaseSelector::Group(name) => {
            groups::require(reader, &name)?;
            Selector::Group(groups::devices(reader, &name)?.into_iter().collect())
        }
        PhaseSelector::Devices(ids) => Selector::Devices(ids.into_iter().collect()),
    })
}
