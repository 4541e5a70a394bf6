//! What runs, judged without an update in progress: health on demand, the mark that ends the boot
//! loader's counting, and the way back by hand.

use serde::Serialize;
use updraft_sysroot::{BootCounting, Deployment, DeploymentId, Sysroot};
use updraft_task::Context;
use updraft_update::Journal as _;

use crate::boot::Boot;
use crate::clock::Clock;
use crate::config::Settings;
use crate::credentials::Credentials;
use crate::gateway::Addresses;
use crate::health::{self, HealthReport};
use crate::store::{Failed, Store, StoredJournal};
use crate::{Error, Result, manifest, ostree, reboot, slot_rollback, slots};

/// Why what is left by hand is left.
pub(crate) const BY_HAND: &str = "it was rolled back by hand";

/// `updraftd boot-good --json`. The shape is stable; members may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootGoodReport {
    /// The booted deployment, or the slot.
    pub deployment: String,
    /// Whether it was counted until now.
    pub was_counted: bool,
    /// Who counts: `entries`, `grub`, `u-boot`, `initramfs` or `nobody`.
    pub counting: &'static str,
}

/// How tries of the booted system are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountStatus {
    /// Who counts: `entries`, `grub`, `u-boot` or `nobody`.
    pub by: &'static str,
    /// How often it may still be tried; absent when it is good or not counted.
    pub tries_left: Option<u32>,
}

/// `updraftd rollback --json`. The shape is stable; members may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollbackReport {
    /// What runs.
    pub from: Option<String>,
    /// What is booted next.
    pub to: String,
    /// What is or would be done, step by step.
    pub plan: Vec<String>,
    /// Whether it was done.
    pub done: bool,
    /// Whether the device has to reboot for it to take effect.
    pub reboot_required: bool,
}

/// Runs all health checks, and changes nothing.
pub(crate) fn health(
    ctx: &Context,
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<HealthReport> {
    let store = Store::open_to_read(&settings.storage)?;
    let identity = store.map(|store| store.identity()).transpose()?.flatten();
    // At its first boot a device is judged before it has registered.
    let known = identity.map_or_else(|| server_of_credentials(settings), |known| known.server);
    let server = Addresses::new(settings, known.as_deref()).ok().map(|addresses| addresses.server);
    health::run(ctx, settings, clock, server.as_deref())
}

fn server_of_credentials(settings: &Settings) -> Option<String> {
    let provision = &settings.provision;
    if provision.provision_path.as_os_str().is_empty() {
        return None;
    }
    Credentials::read(&provision.provision_path, &provision.p12_password).ok()?.server
}

/// Tells the boot loader that what runs is good.
pub(crate) fn boot_good(ctx: &Context, settings: &Settings) -> Result<BootGoodReport> {
    if settings.pacman.is_slots() {
        return slot_good(settings);
    }
    let sysroot = ostree::open(&settings.pacman)?;
    let id = booted(settings, &sysroot)?
        .ok_or_else(|| Error::Boot { problem: "no deployment is booted".to_owned() })?;
    let marking = "tell the boot loader that the system is good";
    let locked = sysroot.lock(ctx).map_err(Error::below("lock the sysroot"))?;
    let was_counted = locked.mark_good(&id).map_err(Error::below(marking))?;
    let counting = name_of(sysroot.boot_counting().map_err(Error::below(marking))?);
    Ok(BootGoodReport { deployment: id.to_string(), was_counted, counting })
}

fn slot_good(settings: &Settings) -> Result<BootGoodReport> {
    let marking = "tell the boot loader that the slot is good";
    let session = crate::boot::session(&settings.boot.kernel_cmdline)?;
    let engine = slots::open(settings, &session)?;
    let was_counted = engine.is_on_trial().map_err(Error::below(marking))?;
    let slot = engine.mark_successful().map_err(Error::below(marking))?;
    let counting = engine.config().boot_control.name();
    Ok(BootGoodReport { deployment: format!("slot {slot}"), was_counted, counting })
}

/// Who counts, and how often the booted system may still be tried. `None`: that cannot be read.
pub(crate) fn counted(sysroot: &Sysroot, booted: &DeploymentId) -> Option<CountStatus> {
    let by = name_of(sysroot.boot_counting().ok()?);
    Some(CountStatus { by, tries_left: sysroot.tries_left(booted).ok()? })
}

fn name_of(counting: BootCounting) -> &'static str {
    match counting {
        BootCounting::Entries => "entries",
        BootCounting::GrubEnvironment => "grub",
        BootCounting::UbootEnvironment => "u-boot",
        BootCounting::Initramfs => "initramfs",
        BootCounting::AndroidSlots => "android",
        BootCounting::Nobody => "nobody",
    }
}

/// What a rollback would do.
pub(crate) fn plan_rollback(settings: &Settings) -> Result<RollbackReport> {
    if settings.pacman.is_slots() {
        return slot_rollback::plan(settings);
    }
    let sysroot = ostree::open(&settings.pacman)?;
    let store = Store::open_to_read(&settings.storage)?;
    Ok(way_back(settings, &sysroot, store.as_ref())?.0)
}

/// Makes the system before this one the default, and asks for a reboot.
pub(crate) fn roll_back(
    ctx: &Context,
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<RollbackReport> {
    if settings.pacman.is_slots() {
        return slot_rollback::roll_back(ctx, settings, clock);
    }
    let store = Store::open(&settings.storage)?;
    let sysroot = ostree::open(&settings.pacman)?;
    let (mut report, back, left) = way_back(settings, &sysroot, Some(&store))?;
    let mut boot = Boot::observe(settings, &store, Some(&sysroot))?;
    if let Some(failed) = left {
        // Before the switch: what is left by hand is not installed again by itself, and a mark
        // without a switch does no harm.
        let report = manifest::Report {
            correlation_id: failed.correlation_id.clone(),
            success: false,
            code: failed.code.clone(),
            description: failed.reason.clone(),
            raw: None,
            items: Vec::new(),
        };
        let failed = Failed { failed_at: clock.now().to_string(), ..failed };
        store.fail(&failed, &report.to_json(), &[])?;
    }
    let locked = sysroot.lock(ctx).map_err(Error::below("lock the sysroot"))?;
    locked.make_default(ctx, &back).map_err(Error::below(format!("make {back} the default")))?;
    drop(locked);
    report.done = true;
    if report.reboot_required {
        boot.await_reboot(settings, &store)?;
        reboot::request(ctx, settings)?;
    }
    Ok(report)
}

/// The plan, where it leads, and what of the server's orders it leaves.
fn way_back(
    settings: &Settings,
    sysroot: &Sysroot,
    store: Option<&Store>,
) -> Result<(RollbackReport, DeploymentId, Option<Failed>)> {
    if let Some(store) = store {
        let record =
            StoredJournal(store).load().map_err(Error::below("read the update journal"))?;
        if record.is_some_and(|record| record.finished.is_none()) {
            let problem = "an update is in progress; it is taken back by itself if it fails";
            return Err(Error::Rollback { problem: problem.to_owned() });
        }
    }
    let list = sysroot.deployments().map_err(Error::below("list the deployments"))?;
    let from = match store {
        Some(store) => Boot::look(settings, store, Some(sysroot))?.booted,
        None => crate::boot::booted(&settings.boot.kernel_cmdline, sysroot)?,
    };
    let back = target(&list, from.as_ref()).ok_or_else(|| Error::Rollback {
        problem: "there is no other system of this stateroot to boot".to_owned(),
    })?;
    let reboot_required = from.as_ref() != Some(&back);
    let installed = store.map(Store::installed).transpose()?.flatten();
    let left = installed
        .filter(|one| from.as_ref().is_some_and(|id| id.checksum.to_hex() == one.sha256))
        .filter(|_| reboot_required)
        .map(|one| Failed {
            filepath: one.filepath,
            sha256: one.sha256,
            correlation_id: one.correlation_id,
            code: "ROLLED_BACK".to_owned(),
            reason: BY_HAND.to_owned(),
            failed_at: String::new(),
        });
    let version = |id: &DeploymentId| {
        let found = list.iter().find(|one| one.id == *id).and_then(|one| one.version.clone());
        found.map_or_else(|| id.to_string(), |version| format!("{id} ({version})"))
    };
    let mut plan = Vec::new();
    if let Some(left) = &left {
        plan.push(format!("do not install {} again under its assignment", left.filepath));
    }
    plan.push(format!("make {} the default", version(&back)));
    if reboot_required {
        plan.push(format!("reboot into {}", version(&back)));
    }
    let report = RollbackReport {
        from: from.as_ref().map(ToString::to_string),
        to: back.to_string(),
        plan,
        done: false,
        reboot_required,
    };
    Ok((report, back, left))
}

/// What runs, when another one is the default: the change that waits for a reboot is taken back.
/// Else the first other one of its stateroot that was not found bad.
fn target(list: &[Deployment], booted: Option<&DeploymentId>) -> Option<DeploymentId> {
    let default = list.first()?;
    if let Some(booted) = booted
        && *booted != default.id
        && list.iter().any(|one| one.id == *booted)
    {
        return Some(booted.clone());
    }
    let others = || list.iter().skip(1).filter(|one| one.id.stateroot == default.id.stateroot);
    others().find(|one| !one.is_bad()).or_else(|| others().next()).map(|one| one.id.clone())
}

fn booted(settings: &Settings, sysroot: &Sysroot) -> Result<Option<DeploymentId>> {
    match Store::open_to_read(&settings.storage)? {
        Some(store) => Ok(Boot::look(settings, &store, Some(sysroot))?.booted),
        None => crate::boot::booted(&settings.boot.kernel_cmdline, sysroot),
    }
}
