//! The way back by hand on a device with slots: the other slot is started next.

use updraft_slots::{Engine, Overview, Phase};
use updraft_task::Context;
use updraft_update::Journal as _;

use crate::boot::Boot;
use crate::clock::Clock;
use crate::config::Settings;
use crate::manifest::Report;
use crate::store::{Failed, Store, StoredJournal};
use crate::trial::RollbackReport;
use crate::{Error, Result, boot, reboot, slots};

/// What a rollback would do.
pub(crate) fn plan(settings: &Settings) -> Result<RollbackReport> {
    let engine = slots::open(settings, &boot::session(&settings.boot.kernel_cmdline)?)?;
    let store = Store::open_to_read(&settings.storage)?;
    Ok(way_back(&engine, store.as_ref())?.0)
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
        Way::Other(slot) => engine.set_active(slot),
    }
    .map_err(Error::below("choose the slot that is started"))?;
    report.done = true;
    if report.reboot_required {
        boot.await_reboot(settings, &store)?;
        reboot::request(ctx, settings)?;
    }
    Ok(report)
}

/// Which way it is.
enum Way {
    /// An update waits for a reboot: it is forgotten, and what runs stays.
    TakeBack,
    /// The other slot is started.
    Other(updraft_slots::boot_control::Slot),
}

/// The plan, the way, and what of the server's orders it leaves.
fn way_back(
    engine: &Engine,
    store: Option<&Store>,
) -> Result<(RollbackReport, Way, Option<Failed>)> {
    let refused = |problem: &str| Err(Error::Rollback { problem: problem.to_owned() });
    if let Some(store) = store {
        let record =
            StoredJournal(store).load().map_err(Error::below("read the update journal"))?;
        if record.is_some_and(|record| record.finished.is_none()) {
            return refused("an update is in progress; it is taken back by itself if it fails");
        }
    }
    let overview = slots::overview(engine)?;
    let Some(running) = engine.running_slot() else {
        return refused("nobody knows which slot runs: say it on the kernel's command line");
    };
    let own = Some(running.letter());
    if matches!(overview.phase, Phase::NeedReboot | Phase::Applied) {
        let name = named(&overview, own);
        let report = RollbackReport {
            from: Some(name.clone()),
            to: name.clone(),
            plan: vec![format!("take back the update that waits for a reboot; {name} stays")],
            done: false,
            reboot_required: false,
        };
        return Ok((report, Way::TakeBack, None));
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
        reason: "it was rolled back by hand".to_owned(),
        failed_at: String::new(),
    });
    let to = named(&overview, Some(other.letter()));
    let mut plan = Vec::new();
    if let Some(left) = &left {
        plan.push(format!("do not install {} again under its assignment", left.filepath));
    }
    plan.push(format!("make {to} the active one"));
    plan.push(format!("reboot into {to}"));
    let from = Some(named(&overview, own));
    let report = RollbackReport { from, to, plan, done: false, reboot_required: true };
    Ok((report, Way::Other(other), left))
}

/// A slot, with what it holds.
fn named(overview: &Overview, slot: Option<char>) -> String {
    let letter = slot.unwrap_or('?');
    match slots::held(overview, slot) {
        Some(image) => format!("slot {letter} ({})", image.name),
        None => format!("slot {letter}"),
    }
}
