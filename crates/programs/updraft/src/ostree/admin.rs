//! `ostree admin`: deployments of a system root.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use updraft_error::Kind;
use updraft_sysroot::{InitEpoch, Sysroot};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

mod deploy;
mod fetch;
mod generator;
mod instutil;
mod kargs;
mod pin;
mod reboot;
mod remount;
mod report;
mod select;
mod set_origin;
mod soft_reboot;
mod staged;
mod status;
mod unlock;
mod upgrade;

use super::program::Usage;

/// Look at and change deployments.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Admin {
    /// The system root; by default $OSTREE_SYSROOT or `/`.
    #[arg(long, global = true, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// Print the folder of the default deployment.
    #[arg(long, hide = true)]
    print_current_dir: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell of a deployment that was not finished at the last shutdown.
    #[command(hide = true)]
    BootComplete,
    /// Remove deployments that are not offered, and objects that nothing needs.
    Cleanup,
    /// List what was changed in /etc.
    ConfigDiff {
        /// The stateroot.
        #[arg(long, visible_alias = "stateroot", value_name = "NAME")]
        os: Option<String>,
    },
    Deploy(Box<deploy::Deploy>),
    FinalizeStaged(staged::FinalizeStaged),
    /// Put the root of the deployment together that is the working directory.
    #[command(hide = true)]
    ImplPrepareSoftReboot,
    /// Make a system root.
    InitFs {
        /// Only the folders that a new system needs; the same as --epoch=1.
        #[arg(long)]
        modern: bool,
        /// Which folders are made.
        #[arg(long, short = 'E', value_name = "N", conflicts_with = "modern")]
        epoch: Option<u8>,
        /// Where.
        path: PathBuf,
    },
    Instutil(instutil::Instutil),
    Kargs(kargs::Kargs),
    LockFinalization(staged::LockFinalization),
    /// Make a stateroot: a name under which deployments share /var.
    #[command(visible_alias = "stateroot-init")]
    OsInit {
        /// Its name.
        #[arg(value_name = "OSNAME")]
        name: String,
    },
    Pin(pin::Pin),
    /// Update the repo and deployments as needed after a copy
    PostCopy,
    PrepareSoftReboot(soft_reboot::PrepareSoftReboot),
    /// Make what is to be writable so, early in the boot.
    #[command(hide = true)]
    Remount,
    /// Make a deployment the default.
    SetDefault {
        /// Its index, as `status` lists them.
        index: String,
    },
    SetOrigin(set_origin::SetOrigin),
    /// Mount a directory of the image so that it can be written to for good.
    #[command(hide = true)]
    StateOverlay {
        /// Under which name what is written is kept.
        #[arg(value_name = "NAME")]
        name: String,
        /// The directory.
        #[arg(value_name = "MOUNTPATH")]
        target: PathBuf,
    },
    Status(status::Status),
    Switch(upgrade::Switch),
    SystemGenerator(generator::SystemGenerator),
    /// Remove a deployment.
    Undeploy {
        /// Its index, as `status` lists them.
        index: String,
    },
    Unlock(unlock::Unlock),
    Upgrade(upgrade::Upgrade),
}

impl Admin {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            None if !self.print_current_dir => {
                return Err(Usage::failure("No \"admin\" subcommand specified"));
            }
            Some(Command::InitFs { modern, epoch, path }) => {
                let epoch = init_epoch(*modern, *epoch)?;
                select::check_folder(path, path)?;
                Sysroot::init(path, epoch)?;
                return Ok(());
            }
            Some(Command::SystemGenerator(generator)) => return generator.run(),
            Some(Command::Remount) => return remount::run(terminal),
            Some(Command::ImplPrepareSoftReboot) => {
                return soft_reboot::assemble(&std::env::current_dir()?);
            }
            _ => {}
        }
        let changes = self.command.as_ref().is_some_and(Command::changes_the_sysroot);
        if changes {
            updraft_sysroot::make_running_writable().context("preparing writable sysroot")?;
        }
        let sysroot = select::open(self.sysroot.as_deref())?;
        if changes {
            select::require_root(&sysroot)?;
        }
        let Some(command) = &self.command else { return print_current_dir(&sysroot, terminal) };
        match command {
            // These were run above, without a system root.
            Command::ImplPrepareSoftReboot
            | Command::InitFs { .. }
            | Command::Remount
            | Command::SystemGenerator(_) => Ok(()),
            Command::BootComplete => staged::boot_complete(&sysroot, terminal),
            Command::Cleanup => {
                let locked = select::lock(&sysroot, terminal)?;
                let freed = locked.cleanup(&terminal.context)?;
                report::freed(freed, terminal)
            }
            Command::ConfigDiff { os } => config_diff(&sysroot, os.as_deref(), terminal),
            Command::Deploy(deploy) => deploy.run(&sysroot, terminal),
            Command::FinalizeStaged(finalize) => finalize.run(&sysroot, terminal),
            Command::Instutil(instutil) => instutil.run(&sysroot, terminal),
            Command::Kargs(kargs) => kargs.run(&sysroot, terminal),
            Command::LockFinalization(lock) => lock.run(&sysroot, terminal),
            Command::OsInit { name } => init_stateroot(&sysroot, name, terminal),
            Command::Pin(pin) => pin.run(&sysroot, terminal),
            Command::PostCopy => {
                select::lock(&sysroot, terminal)?.post_copy(&terminal.context)?;
                Ok(())
            }
            Command::PrepareSoftReboot(prepare) => prepare.run(&sysroot, terminal),
            Command::SetDefault { index } => set_default(&sysroot, index, terminal),
            Command::SetOrigin(set) => set.run(&sysroot, terminal),
            Command::StateOverlay { name, target } => {
                Ok(sysroot.mount_state_overlay(name, target)?)
            }
            Command::Status(status) => status.run(&sysroot, terminal),
            Command::Switch(switch) => switch.run(&sysroot, terminal),
            Command::Undeploy { index } => undeploy(&sysroot, index, terminal),
            Command::Unlock(unlock) => unlock.run(&sysroot, terminal),
            Command::Upgrade(upgrade) => upgrade.run(&sysroot, terminal),
        }
    }
}

impl Command {
    fn changes_the_sysroot(&self) -> bool {
        use Command::{ConfigDiff, InitFs, StateOverlay, Status};
        !matches!(self, ConfigDiff { .. } | InitFs { .. } | StateOverlay { .. } | Status(_))
    }
}

fn init_epoch(modern: bool, epoch: Option<u8>) -> Result<InitEpoch> {
    match (modern, epoch) {
        (true, _) | (_, Some(1)) => Ok(InitEpoch::Modern),
        (_, None | Some(0)) => Ok(InitEpoch::Legacy),
        (_, Some(2)) => Ok(InitEpoch::Private),
        (_, Some(other)) => {
            let message = format!("Invalid sysroot epoch {other}");
            Err(Failure::new(Kind::Invalid, message).hint("epochs are 0, 1 and 2"))
        }
    }
}

fn init_stateroot(sysroot: &Sysroot, name: &str, terminal: &Terminal) -> Result {
    let locked = select::lock(sysroot, terminal)?;
    if locked.has_stateroot(name)? {
        let message = format!("Creating ostree/deploy/{name}: File exists");
        return Err(Failure::new(Kind::Conflict, message));
    }
    locked.init_stateroot(name)?;
    terminal.line(format!("ostree/deploy/{name} initialized as OSTree stateroot"))
}

fn print_current_dir(sysroot: &Sysroot, terminal: &Terminal) -> Result {
    let deployments = sysroot.deployments()?;
    let first = deployments
        .first()
        .ok_or_else(|| Usage::failure("Unable to find a deployment in sysroot"))?;
    let path = sysroot.path().join(first.id.path());
    let path = path.canonicalize().with_context(|| format!("failed to find {}", path.display()))?;
    terminal.line(path.display())
}

fn config_diff(sysroot: &Sysroot, os: Option<&str>, terminal: &Terminal) -> Result {
    let stateroot = select::stateroot(sysroot, os)?;
    let deployments = sysroot.deployments()?;
    let of_os = deployments.iter().find(|deployment| deployment.id.stateroot == stateroot);
    let deployment = of_os.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("No deployment for OS '{stateroot}'"))
    })?;
    let changes = sysroot.etc_changes(&deployment.id)?;
    let lists = [("M", &changes.modified), ("D", &changes.removed), ("A", &changes.added)];
    if terminal.wants_json() {
        let [modified, removed, added] = lists.map(|(_, list)| list);
        let json = serde_json::json!({"modified": modified, "removed": removed, "added": added});
        return terminal.json(&json);
    }
    for (letter, paths) in lists {
        paths
            .iter()
            .try_for_each(|path| terminal.line(format!("{letter}    {}", path.display())))?;
    }
    Ok(())
}

fn set_default(sysroot: &Sysroot, index: &str, terminal: &Terminal) -> Result {
    let locked = select::lock(sysroot, terminal)?;
    let deployments = sysroot.all_deployments()?;
    let deployment = select::at(&deployments, index)?;
    if deployment.is_staged {
        let message = "Cannot make a staged deployment the default";
        return Err(Failure::new(Kind::Invalid, message)
            .hint("it becomes the default when the system is shut down"));
    }
    let written = locked.make_default(&terminal.context, &deployment.id)?;
    report::written(&written, terminal)
}

fn undeploy(sysroot: &Sysroot, index: &str, terminal: &Terminal) -> Result {
    let locked = select::lock(sysroot, terminal)?;
    let deployments = sysroot.all_deployments()?;
    let deployment = select::at(&deployments, index)?;
    let booted = select::booted(sysroot)?;
    if booted.as_ref() == Some(&deployment.id) {
        let message = format!("Cannot undeploy currently booted deployment {index}");
        return Err(Failure::new(Kind::Conflict, message));
    }
    let (written, freed) = locked.undeploy(&terminal.context, &deployment.id, booted.as_ref())?;
    report::written(&written, terminal)?;
    terminal.line(format!("Deleted deployment {}", deployment.id.dir_name()))?;
    report::freed(freed, terminal)
}
