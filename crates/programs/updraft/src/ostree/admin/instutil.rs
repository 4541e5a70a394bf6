//! `ostree admin instutil`: for installers and for the scripts of boot loaders.

use std::path::Path;

use clap::{Args, Subcommand};
use updraft_error::Kind;
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result, Terminal};

use super::kargs::SetKargs;
use super::select;

/// Deprecated commands intended for installer programs
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Instutil {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    SelinuxEnsureLabeled(EnsureLabeled),
    SetKargs(SetKargs),
    #[command(name = "grub2-generate")]
    Grub2Generate(Grub2Generate),
}

impl Instutil {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        match &self.command {
            Command::SelinuxEnsureLabeled(label) => label.run(sysroot, terminal),
            Command::SetKargs(set) => set.run(sysroot, terminal),
            Command::Grub2Generate(generate) => generate.run(sysroot, terminal),
        }
    }
}

/// Relabel all or part of a deployment
#[derive(Debug, Args)]
struct EnsureLabeled {
    /// What is relabelled, within the default deployment.
    #[arg(value_name = "SUBPATH")]
    subpath: Option<String>,
    /// Where the policy finds it.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
}

impl EnsureLabeled {
    fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        let deployments = sysroot.deployments()?;
        let Some(first) = deployments.first() else {
            let message = "Unable to find a deployment in sysroot";
            return Err(Failure::new(Kind::NotFound, message));
        };
        let below = Path::new(self.subpath.as_deref().unwrap_or("/"));
        let prefix = self.prefix.as_deref().unwrap_or_default();
        if let Some(changed) = locked.ensure_labeled(&first.id, below, prefix)? {
            return terminal.line(format!("Relabeled {changed} paths"));
        }
        let path = sysroot.path().join(first.id.path());
        let path = path.canonicalize().unwrap_or(path);
        terminal.line(format!("No SELinux policy found in deployment '{}'", path.display()))
    }
}

/// Generate GRUB2 configuration from given BLS entries
#[derive(Debug, Args)]
struct Grub2Generate {
    /// Which of the two sets of entries.
    #[arg(value_name = "BOOTVERSION")]
    version: Option<String>,
}

impl Grub2Generate {
    fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let environment = |name: &str| std::env::var(name).ok();
        let version =
            match self.version.clone().or_else(|| environment("_OSTREE_GRUB2_BOOTVERSION")) {
                None => sysroot.boot_version()?.version,
                Some(text) => match text.as_str() {
                    "0" => 0,
                    "1" => 1,
                    _ => {
                        let message = format!("Invalid bootversion: {text}");
                        return Err(Failure::new(Kind::Invalid, message).hint("it is 0 or 1"));
                    }
                },
            };
        // The scripts of GRUB set these.
        let device = environment("GRUB2_BOOT_DEVICE_ID").ok_or_else(|| {
            Failure::new(Kind::Invalid, "GRUB2_BOOT_DEVICE_ID is not set")
                .hint("grub2-mkconfig sets it for its scripts")
        })?;
        let prepare = environment("GRUB2_PREPARE_ROOT_CACHE").unwrap_or_default();
        let is_efi = environment("_OSTREE_GRUB2_IS_EFI").is_some();
        let menu = sysroot.grub2_menu(version, &device, &prepare, is_efi)?;
        terminal.bytes(menu.as_bytes())
    }
}
