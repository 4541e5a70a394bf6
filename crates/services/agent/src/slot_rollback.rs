//! The way back by hand on a device with slots: the other slot is started next.

use updraft_slots::{Engine, Overview, Phase};
use updraft_task::Context;
use updraft_update::{Direction, Journal as _};

use crate::boot::Boot;
use crate::clock::Clock;
use crate::config::Settings;
use crate::manifest::Report;
use crate::ostree::UNKNOWN;
use crate::store::{Failed, Store, StoredJournal};
use crate::trial::{BY_HAND, RollbackReport};
use crate::{Error, Result, boot, reboot, slots};

const IN_PROGRESS: &str = "an update is in progress; it is taken back by itself if it fails";

/// What a rollback would do.
pub(crate) fn plan(settings: &Settings) -> Result<RollbackReport> {
    Ok(look(settings)?.0)
}

/// What a rollback would do that takes back an update that the server assigned and that waits for a
/// reboot: that is done through its journal. `None`: there is no such update.
pub(crate) fn of_server(settings: &Settings) -> Result<Option<RollbackReport>> {
    if !settings.pacman.is_slots() {
        return Ok(None);
    }
    let (report, way, _) = look(settings)?;
    Ok(matches!(way, Way::TakeBackAssigned).then_some(report))
}

fn look(settings: &Settings) -> Result<(RollbackReport, Way, Option<Failed>)> {
    let engine = slots::open(settings, &boot::session(&settings.boot.kernel_cmdline)?)?;
    let store = Store::open_to_read(&settings.storage)?;
    way_back(&engine, store.as_ref())
}

/// Makes the other slot the active one, and asks for a reboot; or takes back the update that waits for
/// one.
pub(crate) fn roll_back(
    ctx: &Context,
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<RollbackReport> {
    let store = Store::open(&settings.storage)?;
    let engine = slots::open(settings, &boot::session(&settings.boot.kernel_cmdline)?)?;
    let (mut report, way, left) = way_back(&engine, Some(&store))?;
    let mut boot = Boot::observe(settings, &store, None)?;
    if let Some(failed) = left {
        // Before the switch: what is left by hand is not installed again by itself, and a mark
        // without a switch does no harm.
        let told = Report {
            correlation_id: failed.correlation_id.clone(),
            success: false,
            code: failed.code.clone(),
            description: failed.reason.clone(),
            raw: None,
            items: Vec::new(),
        };
        let failed = Failed { failed_at: clock.now().to_string(), ..failed };
        store.fail(&failed, &told.to_json(), &[])?;
    }
    match way {
        Way::TakeBack => engine.reset(),
        // Begun since somebody looked.
        Way::TakeBackAssigned => return refused(IN_PROGRESS),
        Way::Other(slot) => engine.set_active(slot),
    }
    .map_err(Error::below("choose the slot that is started"))?;
    report.done = true;
    if report.reboot_required {
        boot.await_reboot(settings, &store)?;
        reboot::request(ctx, settings)?;
    } else if boot.awaits_reboot {
        boot.no_reboot(settings, &store)?;
    }
    Ok(report)
}

/// Which way it is.
enum Way {
    /// An update waits for a reboot: it is forgotten, and what runs stays.
    TakeBack,
    /// The same with one that the server assigned: its journal has to know of it.
    TakeBackAssigned,
    /// The other slot is started.
    Other(updraft_slots::boot_control::Slot),
}

/// The plan, the way, and what of the server's orders it leaves.
fn way_back(
    engine: &Engine,
    store: Option<&Store>,
) -> Result<(RollbackReport, Way, Option<Failed>)> {
    let overview = slots::overview(engine)?;
    let waits = matches!(overview.phase, Phase::NeedReboot | Phase::Applied);
    let mut assigned = None;
    if let Some(store) = store {
        let record =
            StoredJournal(store).load().map_err(Error::below("read the update journal"))?;
        if let Some(record) = record.filter(|record| record.finished.is_none()) {
            let is_forward = record.direction == Direction::Forward && record.awaits_reboot();
            if !is_forward || overview.phase != Phase::NeedReboot {
                return refused(IN_PROGRESS);
            }
            assigned = store.update()?.map(|update| update.filepath).or(Some(UNKNOWN.to_owned()));
        }
    }
    let Some(running) = engine.running_slot() else {
        return refused("nobody knows which slot runs: say it on the kernel's command line");
    };
    let own = Some(running.letter());
    if waits {
        let name = named(&overview, own);
        let mut plan: Vec<String> = Vec::new();
        plan.extend(assigned.iter().map(|name| not_again(name)));
        plan.push(format!("take back the update that waits for a reboot; {name} stays"));
        let way = if assigned.is_some() { Way::TakeBackAssigned } else { Way::TakeBack };
        let (from, done, reboot_required) = (Some(name.clone()), false, false);
        return Ok((RollbackReport { from, to: name, plan, done, reboot_required }, way, None));
    }
    let other = running.other();
    let is_whole = overview
        .slots
        .iter()
        .any(|slot| slot.name == other.letter() && slot.bootable && slot.successful != Some(false));
    if !is_whole || overview.phase == Phase::Begun {
        return refused("the other slot holds nothing that was found well");
    }
    let held = slots::held(&overview, own).map(|image| image.sha256.clone());
    let installed = store.map(Store::installed).transpose()?.flatten();
    let left = installed.filter(|one| Some(&one.sha256) == held.as_ref()).map(|one| Failed {
        filepath: one.filepath,
        sha256: one.sha256,
        correlation_id: one.correlation_id,
        code: "ROLLED_BACK".to_owned(),
        reason: BY_HAND.to_owned(),
        failed_at: String::new(),
    });
    let to = named(&overview, Some(other.letter()));
    let mut plan = Vec::new();
    if let Some(left) = &left {
        plan.push(not_again(&left.filepath));
    }
    plan.push(format!("make {to} the active one"));
    plan.push(format!("reboot into {to}"));
    let from = Some(named(&overview, own));
    let report = RollbackReport { from, to, plan, done: false, reboot_required: true };
    Ok((report, Way::Other(other), left))
}

fn refused<T>(problem: &str) -> Result<T> {
    Err(Error::Rollback { problem: problem.to_owned() })
}

fn not_again(name: &str) -> String {
    format!("do not install {name} again under its assignment")
}

/// A slot, with what it holds.
fn named(overview: &Overview, slot: Option<char>) -> String {
    let letter = slot.unwrap_or('?');
    match slots::held(overview, slot) {
        Some(image) => format!("slot {letter} ({})", image.name),
        None => format!("slot {letter}"),
    }
}
