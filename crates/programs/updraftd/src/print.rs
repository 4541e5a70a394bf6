//! Errors and results of the agent, for people.

use updraft_agent::{
    BootGoodReport, CycleOutcome, CycleReport, Error, HealthReport, RollbackReport, StatusReport,
};
use updraft_terminal::{Failure, Result, Terminal};

/// An error of the agent, as `failed to …` with its way out.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint();
    let kind = updraft_error::Classify::kind(&error);
    let message = format!("failed to {error}");
    // The first line is the agent's error itself, its causes follow.
    let failure = match std::error::Error::source(&error) {
        None => Failure::new(kind, message),
        Some(source) => {
            let mut causes = Vec::new();
            let mut cause = Some(source);
            while let Some(source) = cause {
                causes.push(source.to_string());
                cause = source.source();
            }
            let innermost = causes.pop().unwrap_or_default();
            let begun = Failure::new(kind, innermost);
            causes.into_iter().rev().fold(begun, Failure::context).context(message)
        }
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The result of a cycle.
pub(crate) fn cycle(terminal: &Terminal, report: &CycleReport) -> Result {
    if let Some(target) = &report.target {
        terminal.line(format_args!("{}  {}", target.filepath, target.sha256))?;
    }
    for step in &report.plan {
        terminal.line(format_args!("- {step}"))?;
    }
    terminal.line(report.outcome.text())?;
    if let Some(problem) = &report.problem {
        terminal.line(problem)?;
    }
    Ok(())
}

/// A failed update is an error of the program as well.
pub(crate) fn ending(report: &CycleReport) -> Result {
    if report.outcome != CycleOutcome::Failed {
        return Ok(());
    }
    let problem = report.problem.clone().unwrap_or_else(|| report.outcome.text().into());
    Err(Failure::new(updraft_error::Kind::Rejected, problem)
        .hint("the system that ran before stays in place"))
}

/// Each check with its verdict.
pub(crate) fn health(terminal: &Terminal, report: &HealthReport) -> Result {
    for check in &report.checks {
        let word = match (check.passed, check.required) {
            (true, _) => "passed",
            (false, true) => "failed",
            (false, false) => "failed, not required",
        };
        terminal.line(format_args!("{}: {word}", check.name))?;
        if let Some(problem) = &check.problem {
            terminal.line(format_args!("  {problem}"))?;
        }
    }
    terminal.line(if report.healthy { "healthy" } else { "not healthy" })
}

/// A system that is not healthy ends the program with an error.
pub(crate) fn verdict(report: &HealthReport) -> Result {
    let failed = report.checks.iter().find(|check| check.required && !check.passed);
    failed.map_or(Ok(()), |check| {
        let message = format!("this system did not pass the health check {}", check.name);
        Err(Failure::new(updraft_error::Kind::Rejected, message))
    })
}

/// Whether the boot loader had to be told.
pub(crate) fn boot_good(terminal: &Terminal, report: &BootGoodReport) -> Result {
    let words = if report.was_counted {
        "is marked good; its tries are counted no more"
    } else {
        "is good already"
    };
    terminal.line(format_args!("{} {words}", report.deployment))
}

/// The way back.
pub(crate) fn rollback(terminal: &Terminal, report: &RollbackReport) -> Result {
    for step in &report.plan {
        terminal.line(format_args!("- {step}"))?;
    }
    terminal.line(match (report.done, report.reboot_required) {
        (false, _) => "nothing of it was done",
        (true, true) => "rolled back; a reboot is required",
        (true, false) => "rolled back; what runs stays",
    })
}

/// The status.
pub(crate) fn status(terminal: &Terminal, status: &StatusReport) -> Result {
    let line = |name: &str, value: &str| terminal.line(format_args!("{name:<12}{value}"));
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    line("device", &or_none(status.device_id.as_deref()))?;
    line("server", &or_none(status.server.as_deref()))?;
    if let Some(ecu) = &status.ecu {
        let registered = if ecu.registered { "registered" } else { "not registered" };
        line("ECU", &format!("{} ({}, {registered})", ecu.serial, ecu.hardware_id))?;
    }
    line("booted", &or_none(status.booted.as_deref()))?;
    if let Some(count) = &status.boot_count
        && let Some(left) = count.tries_left
    {
        line("on trial", &format!("{left} tries left, counted by {}", count.by))?;
    }
    if let Some(all) = &status.slots {
        for slot in &all.slots {
            let holds = slot.holds.as_ref().map(|image| image.name.clone());
            let is = |is: bool, words: &str| is.then(|| words.to_owned());
            let words = [
                Some(holds.unwrap_or_else(|| "content not known".to_owned())),
                is(all.running == Some(slot.name), "runs"),
                is(all.active == Some(slot.name), "started next"),
                is(!slot.bootable, "not started"),
                is(slot.successful == Some(false), "not found well yet"),
                slot.tries_left.map(|left| format!("{left} tries left")),
            ];
            let words: Vec<String> = words.into_iter().flatten().collect();
            line(&format!("slot {}", slot.name), &words.join(", "))?;
        }
    }
    if let Some(problem) = &status.booted_problem {
        line("", problem)?;
    }
    if let Some(installed) = &status.installed {
        line("confirmed", &format!("{}  {}", installed.filepath, installed.sha256))?;
    }
    for ecu in &status.secondaries {
        let unknown = if ecu.registered { "" } else { ", not registered" };
        let runs = ecu.filepath.as_deref().unwrap_or("nothing known");
        line("secondary", &format!("{} ({}{unknown})  {runs}", ecu.serial, ecu.hardware_id))?;
    }
    if let Some(update) = &status.update {
        let stage = update.stage.name();
        line("update", &format!("{}  {}  {stage}", update.filepath, update.sha256))?;
    }
    line("reboot", if status.reboot_required { "required" } else { "not required" })?;
    for failed in &status.failed {
        line("failed", &format!("{}: {} ({})", failed.filepath, failed.code, failed.reason))?;
    }
    if let Some(contact) = &status.contact {
        line("last check", &contact.checked_at)?;
        if let Some(problem) = &contact.problem {
            line("", problem)?;
        }
    }
    if status.wishes.paused {
        line("paused", "yes; go on with `updraftd resume`")?;
    }
    if let Some(until) = status.wishes.postponed_until {
        line("postponed", &until.to_string())?;
    }
    line("to send", &format!("{} events", status.events_queued))
}
