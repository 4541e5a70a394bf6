//! Rollouts in words and tables.

use serde_json::json;
use updraft_api::{
    Phase, PhaseSelector, Rollout, RolloutCounts, RolloutDevice, RolloutDeviceState,
    RolloutPreview, RolloutScope,
};
use updraft_terminal::{Result, Table, Terminal};

use crate::text;

pub(super) fn table(rollouts: &[Rollout]) -> Table {
    let columns = ["rollout", "release", "state", "phase", "succeeded", "failed", "created"];
    let mut table = Table::new(columns);
    for rollout in rollouts {
        table.row([
            rollout.name.clone(),
            rollout.release.clone(),
            text::name_of(&rollout.state),
            format!("{} of {}", rollout.current_phase + 1, rollout.phases.len()),
            format!("{} of {}", rollout.counts.succeeded, rollout.counts.total),
            rollout.counts.failed.to_string(),
            text::time(rollout.created_at),
        ]);
    }
    table
}

pub(super) fn print(terminal: &Terminal, rollout: &Rollout, devices: &[RolloutDevice]) -> Result {
    if terminal.wants_json() {
        return terminal.json(&json!({ "rollout": rollout, "devices": devices }));
    }
    terminal.line(format!("rollout  {}", rollout.name))?;
    terminal.line(format!("release  {}", rollout.release))?;
    terminal.line(format!("scope    {}", scope(&rollout.scope)))?;
    terminal.line(state(rollout))?;
    for line in details(rollout) {
        terminal.line(line)?;
    }
    terminal.line("")?;
    terminal.table(&phases(rollout))?;
    terminal.line("")?;
    let mut table = Table::new(["device", "phase", "state", "changed", "reason"]);
    for device in devices {
        table.row([
            device.device.clone(),
            (device.phase + 1).to_string(),
            text::name_of(&device.state),
            device.changed_at.map(text::time).unwrap_or_default(),
            device.reason.clone().unwrap_or_default(),
        ]);
    }
    terminal.table(&table)
}

/// What is not as it mostly is.
fn details(rollout: &Rollout) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(start) = rollout.starts_at.filter(|_| rollout.begun_at.is_none()) {
        lines.push(format!("starts   {}", text::time(start)));
    }
    if let Some(decision) = &rollout.decision {
        let verb = if decision.approved { "approved" } else { "denied" };
        let remark = decision.remark.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        lines.push(format!("{verb:<8} by {}{remark}", decision.by));
    }
    let soaking = rollout.phases.iter().find_map(|phase| Some((phase.soaking_since?, phase)));
    if let Some((since, phase)) = soaking {
        let since = text::time(since);
        lines.push(format!("soaking  since {since}, for {} s", phase.soak_seconds));
    }
    if rollout.counts.unhealthy > 0 {
        lines.push(format!("health   {} device(s) are not well", rollout.counts.unhealthy));
    }
    lines
}

/// One line that says where a rollout stands.
pub(super) fn state(rollout: &Rollout) -> String {
    let state = text::name_of(&rollout.state);
    match &rollout.reason {
        Some(reason) => format!("state    {state}: {reason}"),
        None => format!("state    {state}"),
    }
}

fn phases(rollout: &Rollout) -> Table {
    let mut table = Table::new(["phase", "devices", "state", "succeeded", "failed", "under way"]);
    for (index, phase) in rollout.phases.iter().enumerate() {
        table.row([
            format!("{} ({})", index + 1, selector(&phase.selector)),
            phase.counts.total.to_string(),
            text::name_of(&phase.state),
            phase.counts.succeeded.to_string(),
            phase.counts.failed.to_string(),
            under_way(&phase.counts).to_string(),
        ]);
    }
    table
}

/// One line about one phase.
pub(super) fn phase_line(index: usize, phase: &Phase) -> String {
    format!(
        "phase {} ({}): {}, {} of {} succeeded, {} failed, {} under way",
        index + 1,
        selector(&phase.selector),
        text::name_of(&phase.state),
        phase.counts.succeeded,
        phase.counts.total,
        phase.counts.failed,
        under_way(&phase.counts)
    )
}

fn under_way(counts: &RolloutCounts) -> u32 {
    counts.assigned.saturating_add(counts.started)
}

fn scope(scope: &RolloutScope) -> String {
    match scope {
        RolloutScope::All => "every device".into(),
        RolloutScope::Groups(groups) => format!("groups {}", groups.join(", ")),
        RolloutScope::Devices(devices) => format!("devices {}", devices.join(", ")),
    }
}

fn selector(selector: &PhaseSelector) -> String {
    match selector {
        PhaseSelector::Percent(percent) => format!("{percent}%"),
        PhaseSelector::Group(group) => format!("group {group}"),
        PhaseSelector::Devices(devices) => format!("devices {}", devices.join(", ")),
    }
}

/// What a rollout would do.
pub(super) fn preview(terminal: &Terminal, preview: &RolloutPreview) -> Result {
    terminal.show(preview, |preview| {
        let mut table = Table::new(["device", "phase", "would be", "bytes", "reason"]);
        for device in &preview.items {
            let would_be = match device.state {
                RolloutDeviceState::Waiting => "told",
                RolloutDeviceState::Succeeded => "left alone",
                _ => "left out",
            };
            table.row([
                device.device.clone(),
                (device.phase + 1).to_string(),
                would_be.to_owned(),
                device.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
                device.reason.clone().unwrap_or_default(),
            ]);
        }
        terminal.table(&table)?;
        terminal.line("")?;
        terminal.line(format!(
            "{} device(s) would be told, {} run it already, {} would be left out, {} are in no phase",
            preview.devices, preview.current, preview.skipped, preview.unselected
        ))?;
        let unknown = match preview.bytes_unknown {
            0 => String::new(),
            count => format!(", and what {count} device(s) lack of a commit"),
        };
        terminal.line(format!("to fetch: at most {} bytes{unknown}", preview.bytes))
    })
}
