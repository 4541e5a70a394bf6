//! `ostree admin kargs`, `ostree admin instutil set-kargs`: kernel arguments of deployments that
//! are there.

use clap::{Args, Subcommand};
use updraft_bootenv::{Error, KernelArgs};
use updraft_error::Kind;
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result, Terminal};

use super::{report, select};

/// Arguments of the running kernel that its boot loader has added.
const OF_BOOT_LOADERS: [&str; 3] = ["ostree", "BOOT_IMAGE", "initrd"];

/// Change kernel arguments
#[derive(Debug, Args)]
pub(crate) struct Kargs {
    #[command(subcommand)]
    command: KargsCommand,
}

#[derive(Debug, Subcommand)]
enum KargsCommand {
    EditInPlace(EditInPlace),
}

impl Kargs {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let KargsCommand::EditInPlace(edit) = &self.command;
        edit.run(sysroot, terminal)
    }
}

/// Set new kernel command line arguments in place (applies to all deployments by default)
#[derive(Debug, Args)]
#[command(hide = true)]
struct EditInPlace {
    /// Append an argument where it is not there yet.
    #[arg(long, value_name = "NAME=VALUE")]
    append_if_missing: Vec<String>,
    /// Accepted for compatibility.
    #[arg(value_name = "ARGS")]
    arguments: Vec<String>,
}

impl EditInPlace {
    fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        let mut list = sysroot.all_deployments()?;
        if list.is_empty() {
            return Err(none());
        }
        for deployment in &mut list {
            for argument in &self.append_if_missing {
                deployment.kernel_args.append_if_missing(argument);
            }
        }
        locked.write_deployments(&list)?;
        locked.cleanup_deployments()?;
        Ok(())
    }
}

/// Set new kernel command line arguments(Not stable)
#[derive(Debug, Args)]
pub(crate) struct SetKargs {
    /// Begin with the arguments of the running system.
    #[arg(long)]
    import_proc_cmdline: bool,
    /// Begin with the arguments of the default deployment.
    #[arg(long)]
    merge: bool,
    /// Set an argument, replacing those of the same name.
    #[arg(long, value_name = "NAME=VALUE")]
    replace: Vec<String>,
    /// Add an argument.
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
    /// Further arguments.
    #[arg(value_name = "ARGS")]
    arguments: Vec<String>,
}

impl SetKargs {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        let mut list = sysroot.all_deployments()?;
        let Some(first) = list.iter_mut().find(|deployment| !deployment.is_staged) else {
            return Err(none());
        };
        let mut args = KernelArgs::new();
        if self.import_proc_cmdline {
            args = of_running_system()?;
        } else if self.merge {
            args = first.kernel_args.clone();
        }
        for argument in &self.replace {
            args.replace(argument);
        }
        for argument in self.append.iter().chain(&self.arguments) {
            args.append(argument);
        }
        first.kernel_args = args;
        let written = locked.write_deployments(&list)?;
        locked.cleanup_deployments()?;
        report::written(&written, terminal)
    }
}

fn none() -> Failure {
    Failure::new(Kind::NotFound, "Unable to find a deployment in sysroot")
}

/// The arguments of the running kernel, without those of its boot loader.
pub(super) fn of_running_system() -> Result<KernelArgs> {
    let mut args = KernelArgs::parse(&select::running_command_line()?);
    for key in OF_BOOT_LOADERS {
        args.remove_key(key);
    }
    Ok(args)
}

/// Removes an argument; tells in the peer's words why it cannot.
pub(super) fn delete(args: &mut KernelArgs, argument: &str) -> Result {
    let known = argument.split_once('=').is_some_and(|(key, _)| args.contains(key));
    args.delete(argument).map_err(|error| {
        let key = argument.split('=').next().unwrap_or_default();
        let message = match &error {
            Error::Ambiguous { .. } => format!("Multiple values for key '{key}' found"),
            _ if known => format!("No karg '{argument}' found"),
            _ => format!("No key '{key}' found"),
        };
        Failure::new(Kind::NotFound, message)
    })
}
