//! `updraft slots status`.

use updraft_slots::{EngineStatus, Overview, Phase};
use updraft_terminal::{Result, Table, Terminal};

use super::device::{DeviceOptions, failure};

pub(super) fn run(device: &DeviceOptions, terminal: &Terminal) -> Result {
    let overview = device.open()?.overview().map_err(failure)?;
    terminal.show(&overview, |overview| tell(overview, terminal))
}

fn tell(overview: &Overview, terminal: &Terminal) -> Result {
    let mut table = Table::new(["slot", "runs", "next", "starts", "known to work", "tries left"]);
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    for slot in &overview.slots {
        let unknown = "not remembered".to_owned();
        table.row([
            slot.name.to_string(),
            yes(overview.running == Some(slot.name)),
            yes(overview.active == Some(slot.name)),
            yes(slot.bootable),
            slot.successful.map_or(unknown, yes),
            slot.tries_left.map_or("not counted".to_owned(), |left| left.to_string()),
        ]);
    }
    terminal.table(&table)?;
    terminal.line("")?;
    let origin = overview.update.as_ref().map_or("", |update| update.origin.as_str());
    let what = match (overview.status, overview.phase) {
        (EngineStatus::UpdatedNeedReboot, _) => {
            format!("{origin} is applied, and started when the device is restarted")
        }
        (EngineStatus::CleanupPreviousUpdate, _) => {
            format!(
                "{origin} runs, and nobody has found it well yet: `updraft slots mark-successful`"
            )
        }
        (EngineStatus::Idle, Phase::Begun) => {
            format!("{origin} was begun and interrupted: apply it again, and it goes on")
        }
        (EngineStatus::Idle, Phase::Applied) => {
            format!("{origin} is applied and not to be started yet: `updraft slots switch`")
        }
        (EngineStatus::Idle, _) => "no update is in work".to_owned(),
        (status, _) => {
            let doing = match status {
                EngineStatus::Downloading => "written",
                EngineStatus::Verifying => "verified",
                EngineStatus::Finalizing => "finished",
                _ => "begun",
            };
            format!("{origin} is being {doing}")
        }
    };
    terminal.line(what)?;
    if let Some(progress) = &overview.progress {
        let left = progress.seconds_left.map_or(String::new(), |left| format!(", {left} s left"));
        let suspended = if overview.suspended { ", suspended" } else { "" };
        terminal.line(format!(
            "{}.{} %{left}{suspended}",
            progress.permille / 10,
            progress.permille % 10
        ))?;
    }
    if let Some(last) = &overview.last {
        terminal.line(format!("last: {} ({} {})", last.message, last.code, last.name))?;
        if !matches!(last.code, 0 | 52) {
            terminal.line(format!("way out: {}", last.cure))?;
        }
    }
    Ok(())
}
