//! What aktualizr-lite prints.

use updraft_agent::lite::{Listing, LiteStatus};
use updraft_terminal::{Result, Terminal};

/// Targets, lowest version first.
pub(super) fn listing(terminal: &Terminal, listing: &Listing, json: bool) -> Result {
    if json {
        return terminal.json(&listing.targets);
    }
    terminal.line("\nFound Targets: ")?;
    for target in &listing.targets {
        terminal.line(&target.name)?;
        terminal.line(format_args!("\tostree: {}", target.sha256))?;
        terminal.line("\tapps:")?;
        for app in &target.apps {
            let word = if app.on { "on" } else { "off" };
            terminal.line(format_args!("\t\t({word}) {} -> {}", app.name, app.uri))?;
        }
        terminal.line("")?;
    }
    Ok(())
}

/// What is known about the device.
pub(super) fn status(terminal: &Terminal, status: &LiteStatus, json: bool) -> Result {
    if json {
        return terminal.json(status);
    }
    if let Some(uuid) = &status.uuid {
        terminal.line(format_args!("Device UUID: {uuid}"))?;
    }
    if let Some(device) = &status.device {
        terminal.line(format_args!("Device name: {}", device.name))?;
    }
    match &status.applied_target {
        Some(target) => {
            let (name, sha256) = (called(&target.name, target.version), &target.sha256);
            terminal.line(format_args!("Active image is: {name}\tsha256:{sha256}"))?;
            if !target.apps.is_empty() {
                terminal.line("\tDocker Compose Apps:")?;
            }
            for app in &target.apps {
                let word = if app.on { "on " } else { "off" };
                terminal.line(format_args!("\t{word}: {} -> {}", app.name, app.uri))?;
            }
        }
        None => terminal.line("No active deployment found")?,
    }
    if let Some(target) = &status.pending {
        let (name, sha256) = (called(&target.name, target.version), &target.sha256);
        terminal.line(format_args!("Pending Target: {name}\tsha256:{sha256}"))?;
    }
    Ok(())
}

/// aktualizr-lite calls a target by its version, where it has one.
fn called(name: &str, version: i64) -> String {
    if version < 0 { name.to_owned() } else { version.to_string() }
}
