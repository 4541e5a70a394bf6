//! `updraft device …`: what the fleet is and runs.

use clap::{Args, Subcommand};
use updraft_api::{
    Component, Device, DeviceSlot, DeviceSlots, DeviceSummary, InstalledImage, NewPin, paths,
};
use updraft_http::Method;
use updraft_terminal::{Result, Table, Terminal};

use crate::server::Server;
use crate::text;

mod logs;
mod metrics;
use logs::Logs;
use metrics::Metrics;

/// Show, pin and remove devices.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List devices with what they run.
    Ls {
        /// Only members of this group.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
    /// Show everything known about one device.
    Show {
        /// The device's id.
        device: String,
    },
    /// Show what a device measures: the newest values, or one metric over time.
    Metrics(Metrics),
    /// Show a device's logs, or ask the device for one.
    Logs(Logs),
    /// Show the configuration that a device reported, as it sent it.
    Configuration {
        /// The device's id.
        device: String,
    },
    /// Refuse a device's certificate from now on; what is known of it stays.
    Revoke {
        /// The device's id.
        device: String,
    },
    /// Have no rollout take a device until it is unpinned; what it was told already goes on.
    Pin {
        /// The device's id.
        device: String,
        /// Why, for people.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let rollouts take a device again.
    Unpin {
        /// The device's id.
        device: String,
    },
    /// Delete a device and what is known of it; its certificate is no longer accepted.
    Rm {
        /// The devices' ids.
        #[arg(required = true)]
        devices: Vec<String>,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Ls { group } => {
                let mut devices: Vec<DeviceSummary> = server.list(paths::DEVICES)?;
                if let Some(group) = group {
                    devices.retain(|device| device.groups.contains(group));
                }
                terminal.show(&devices, |devices| terminal.table(&fleet(devices)))
            }
            Command::Show { device } => {
                let device: Device = server.get(&paths::device(device))?;
                terminal.show(&device, |device| show(terminal, device))
            }
            Command::Metrics(metrics) => metrics.run(&server, terminal),
            Command::Logs(logs) => logs.run(&server, terminal),
            Command::Configuration { device } => {
                let text = server.get_text(&paths::device_configuration(device))?;
                terminal.show(&text, |it| terminal.line(text::printable(it).trim_end()))
            }
            Command::Revoke { device } => {
                server.change(Method::Post, &paths::device_revoke(device))
            }
            Command::Pin { device, reason } => {
                let pin = NewPin { reason: reason.clone() };
                let device: Device = server.send(Method::Put, &paths::device_pin(device), &pin)?;
                terminal.show(&device, |device| terminal.line(format!("pinned {}", device.id)))
            }
            Command::Unpin { device } => server.change(Method::Delete, &paths::device_pin(device)),
            Command::Rm { devices } => {
                for device in devices {
                    server.change(Method::Delete, &paths::device(device))?;
                    terminal.say(format!("deleted {device}"));
                }
                Ok(())
            }
        }
    }
}

fn fleet(devices: &[DeviceSummary]) -> Table {
    let columns =
        ["device", "state", "hardware", "release", "commit", "assigned", "seen", "groups"];
    let mut table = Table::new(columns);
    for device in devices {
        let installed = device.installed.as_ref();
        table.row([
            device.id.clone(),
            text::name_of(&device.state),
            device.hardware_id.clone().unwrap_or_default(),
            installed.and_then(|image| image.release.clone()).unwrap_or_default(),
            installed.map(|image| text::short(&image.sha256)).unwrap_or_default(),
            device.assignment.as_ref().map(|a| a.release.clone()).unwrap_or_default(),
            device.last_seen.map(text::time).unwrap_or_default(),
            device.groups.join(","),
        ]);
    }
    table
}

fn show(terminal: &Terminal, device: &Device) -> Result {
    terminal.line(format!("device      {}", device.id))?;
    terminal.line(format!("state       {}", text::name_of(&device.state)))?;
    terminal.line(format!("registered  {}", text::time(device.registered_at)))?;
    if let Some(seen) = device.last_seen {
        terminal.line(format!("seen        {}", text::time(seen)))?;
    }
    if !device.groups.is_empty() {
        terminal.line(format!("groups      {}", device.groups.join(", ")))?;
    }
    if let Some(pin) = &device.pinned {
        let time = text::time(pin.at);
        terminal.line(format!("pinned      by {} at {time}: {}", pin.by, pin.reason))?;
    }
    for component in &device.components {
        show_component(terminal, component)?;
    }
    if let Some(assignment) = &device.assignment {
        terminal.line(format!(
            "assigned    {} by rollout {} at {} ({})",
            assignment.release,
            assignment.rollout,
            text::time(assignment.assigned_at),
            text::name_of(&assignment.state)
        ))?;
    }
    if let Some(slots) = &device.slots {
        for slot in &slots.slots {
            slot_line(terminal, slots, slot)?;
        }
    }
    if let Some(report) = &device.last_report {
        terminal.line(format!(
            "reported    {} at {}: {}",
            report.code,
            text::time(report.received_at),
            report.description
        ))?;
    }
    Ok(())
}

fn slot_line(terminal: &Terminal, all: &DeviceSlots, slot: &DeviceSlot) -> Result {
    let is = |is: bool, words: &str| is.then(|| words.to_owned());
    let holds = slot.holds.as_ref().map_or("content not known", |it| it.filepath.as_str());
    let words = [
        Some(holds.to_owned()),
        is(all.running.as_ref() == Some(&slot.name), "runs"),
        is(all.next.as_ref() == Some(&slot.name), "started next"),
        is(!slot.bootable, "not started"),
        is(slot.successful == Some(false), "not found well yet"),
        slot.tries_left.map(|left| format!("{left} tries left")),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    terminal.line(format!("slot {}      {}", slot.name, words.join(", ")))
}

fn show_component(terminal: &Terminal, component: &Component) -> Result {
    let role = if component.primary { "primary" } else { "component" };
    terminal.line(format!("{role:<11} {} ({})", component.serial, component.hardware_id))?;
    if let Some(installed) = &component.installed {
        terminal.line(format!("  runs      {}", image(installed)))?;
    }
    if !component.attacks_detected.is_empty() {
        terminal.line(format!("  attacks   {}", component.attacks_detected))?;
    }
    Ok(())
}

fn image(image: &InstalledImage) -> String {
    match (&image.release, &image.version) {
        (Some(release), Some(version)) => {
            format!("{} {} (release {release}, version {version})", image.filepath, image.sha256)
        }
        _ => format!("{} {}", image.filepath, image.sha256),
    }
}
