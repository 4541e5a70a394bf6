//! The command line: what may be asked, and who answers it.

use clap::{CommandFactory as _, Parser, Subcommand};
use updraft_terminal::generate::Generate;
use updraft_terminal::{OutputOptions, Result, Terminal};

use crate::{
    account, alert, audit, device, encrypted_image, events, freeze, garage, group, image, keys,
    lockbox, ostree, ota, payload, release, rollout, slots, status, subscription, tuf,
};

/// Build, sign, release and operate systems that update as a whole.
#[derive(Debug, Parser)]
#[command(name = "updraft", version, max_term_width = 100)]
pub(crate) struct Updraft {
    #[command(flatten)]
    output: OutputOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work with OSTree repositories, as `ostree` does.
    Ostree(ostree::Arguments),
    /// Make trees that can be deployed, and disk images with a deployment.
    Image(image::Arguments),
    /// Look into Android's A/B payloads, verify, apply and make them.
    Payload(payload::Arguments),
    /// Update the slot of this device that does not run, and choose which slot is started.
    Slots(slots::Arguments),
    /// Make, sign, verify and look into OTA packages, and have recovery install one.
    Ota(ota::Arguments),
    /// Make, list and rotate signing keys; sign requests.
    Keys(keys::Arguments),
    /// Build, sign and publish releases.
    Release(release::Arguments),
    /// Encrypt images of a release for the components that will get them.
    EncryptedImage(encrypted_image::Arguments),
    /// Follow a TUF repository: update its metadata, download and verify targets.
    Tuf(tuf::Arguments),
    /// Log in to a server: check the token and remember both.
    Login(account::Login),
    /// Show what the server is and how it is doing.
    Status(status::Arguments),
    /// Show, pin and remove devices.
    Device(device::Arguments),
    /// Work with groups of devices.
    Group(group::Arguments),
    /// Create, watch, steer and roll back rollouts.
    Rollout(rollout::Arguments),
    /// Set times in which rollouts tell devices nothing.
    Freeze(freeze::Arguments),
    /// Make media with updates for devices without a network.
    Lockbox(lockbox::Arguments),
    /// See alarms about devices, and say what raises them.
    Alert(alert::Arguments),
    /// See what operators changed and were refused, and look whether that log is whole.
    Audit(audit::Arguments),
    /// Send events to programs and people.
    Subscription(subscription::Arguments),
    /// Show what happened, in order.
    Events(events::Arguments),
    /// Work as garage-push, garage-check, garage-deploy and garage-sign do.
    Garage(garage::Arguments),
    /// Write shell completions and manual pages.
    #[command(hide = true)]
    Generate(Generate),
}

impl Updraft {
    pub(crate) fn run(&self, no_color: bool) -> Result {
        let terminal = Terminal::new(&self.output, no_color)?;
        match &self.command {
            Command::Ostree(arguments) => ostree::run(arguments, &terminal),
            Command::Image(arguments) => arguments.run(&terminal),
            Command::Payload(arguments) => arguments.run(&terminal),
            Command::Slots(arguments) => arguments.run(&terminal),
            Command::Ota(arguments) => arguments.run(&terminal),
            Command::Keys(arguments) => arguments.run(&terminal),
            Command::Release(arguments) => arguments.run(&terminal),
            Command::EncryptedImage(arguments) => arguments.run(&terminal),
            Command::Tuf(arguments) => arguments.run(&terminal),
            Command::Login(login) => login.run(&terminal),
            Command::Status(arguments) => arguments.run(&terminal),
            Command::Device(arguments) => arguments.run(&terminal),
            Command::Group(arguments) => arguments.run(&terminal),
            Command::Rollout(arguments) => arguments.run(&terminal),
            Command::Freeze(arguments) => arguments.run(&terminal),
            Command::Lockbox(arguments) => arguments.run(&terminal),
            Command::Alert(arguments) => arguments.run(&terminal),
            Command::Audit(arguments) => arguments.run(&terminal),
            Command::Subscription(arguments) => arguments.run(&terminal),
            Command::Events(arguments) => arguments.run(&terminal),
            Command::Garage(arguments) => arguments.run(&terminal),
            Command::Generate(generate) => generate.run(&terminal, Self::command()),
        }
    }
}

/// The same program under the name `ostree`.
#[derive(Debug, Parser)]
#[command(name = "ostree", disable_version_flag = true, disable_help_subcommand = true)]
// The last of several values counts: scripts keep options in variables and add to them.
#[command(args_override_self = true)]
pub(crate) struct OstreeProgram {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    arguments: ostree::Arguments,
}

impl OstreeProgram {
    pub(crate) fn run(&self, no_color: bool) -> Result {
        let terminal = Terminal::new(&self.output, no_color)?;
        ostree::run(&self.arguments, &terminal)
    }

    pub(crate) fn print_version(no_color: bool) -> Result {
        Terminal::new(&OutputOptions::default(), no_color)?.line(ostree::program::version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Updraft::command().debug_assert();
        OstreeProgram::command().debug_assert();
    }
}
