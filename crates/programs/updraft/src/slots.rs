//! `updraft slots …`: updates of a device with two slots, on the device.

mod apply;
mod change;
mod device;
mod log;
mod serve;
mod status;
mod updates;

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

/// Update the slot of this device that does not run, and choose which slot is started.
///
/// A device with two slots writes an update to the one that does not run, verifies it, and has the
/// boot loader try it. When the new system is found well it stays; when it does not start, or nobody
/// finds it well, the boot loader goes back to the old one. What the slots are, and which boot loader
/// there is, says /etc/updraft/slots.toml; the guide's page "Updating slots" tells of it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft slots status
  updraft slots apply https://example.org/ota/payload.bin
  updraft slots apply ota.zip --check
  updraft slots apply ota.zip --header SWITCH_SLOT_ON_REBOOT=0 && updraft slots switch
  updraft slots updates             (what may be applied, by its configuration)
  updraft slots apply --update board-2.1.json
  updraft slots suspend; updraft slots resume; updraft slots cancel
  updraft slots mark-successful     (after a restart, when the system is found well)
  updraft slots serve               (the same in a browser on the device)
  updraft slots reset               (before the restart: take the update back)")]
pub(crate) struct Arguments {
    #[command(flatten)]
    device: device::DeviceOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the slots, which is started next, and how far the update is.
    Status,
    Updates(updates::Updates),
    Apply(apply::Apply),
    /// Have the update that is being applied wait, until it is told to resume or cancel.
    ///
    /// It is applied by another process, `updraft slots apply`, which keeps running.
    Suspend,
    /// Have the update that was suspended go on.
    ///
    /// For one that was cancelled, or cut off by a kill or a power cut, call `apply` again.
    Resume,
    /// Stop the update that is being applied.
    ///
    /// Nothing is lost: `apply` with the same payload goes on where it was. `reset` forgets it.
    Cancel,
    /// Forget the update, and take back one that was applied: what runs is what is started.
    Reset,
    Switch(change::Switch),
    /// Say that the system that runs is well: its slot is started from now on.
    ///
    /// Until this is called after an update, the boot loader counts each start of the new slot, and
    /// goes back to the old one when its tries are used up. GRUB, and U-Boot with RAUC's variables,
    /// count always: there this has to be called after each start. Run it when the system's health was
    /// checked, not before.
    MarkSuccessful,
    /// Show what was done with the slots, the oldest first.
    Log,
    Serve(serve::Serve),
    SetActive(change::SetActive),
    MarkUnbootable(change::MarkUnbootable),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let device = &self.device;
        match &self.command {
            Command::Status => status::run(device, terminal),
            Command::Updates(updates) => updates.run(device, terminal),
            Command::Log => log::run(device, terminal),
            Command::Serve(serve) => serve.run(device, terminal),
            Command::Apply(apply) => apply.run(device, terminal),
            Command::Suspend => change::ask(device, updraft_slots::Ask::Suspend, terminal),
            Command::Resume => change::ask(device, updraft_slots::Ask::Resume, terminal),
            Command::Cancel => change::ask(device, updraft_slots::Ask::Cancel, terminal),
            Command::Reset => change::reset(device, terminal),
            Command::Switch(switch) => switch.run(device, terminal),
            Command::MarkSuccessful => change::mark_successful(device, terminal),
            Command::SetActive(set_active) => set_active.run(device, terminal),
            Command::MarkUnbootable(mark) => mark.run(device, terminal),
        }
    }
}
