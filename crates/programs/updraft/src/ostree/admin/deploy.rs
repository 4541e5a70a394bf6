//! `ostree admin deploy`.

use std::path::PathBuf;

use clap::Args;
use updraft_bootenv::KernelArgs;
use updraft_sysroot::{
    DeployRequest, Deployment, Finalization, Merge, Origin, Place, Retain, Sysroot,
};
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::{kargs, report, select, staged};
use crate::ostree::program::Usage;

/// Deploy a commit and make it the default.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The stateroot; by default that of the booted deployment.
    #[arg(long, visible_alias = "stateroot", value_name = "OSNAME")]
    os: Option<String>,
    /// Where later upgrades come from.
    #[arg(long, value_name = "FILENAME")]
    origin_file: Option<PathBuf>,
    /// Do not remove objects that nobody needs any more.
    #[arg(long)]
    no_prune: bool,
    /// Take over neither /etc nor kernel arguments.
    #[arg(long)]
    no_merge: bool,
    /// Keep all other deployments.
    #[arg(long)]
    retain: bool,
    /// Finish the deployment when the system shuts down.
    #[arg(long)]
    stage: bool,
    /// Finish it only when somebody allows that; implies --stage.
    #[arg(long)]
    lock_finalization: bool,
    /// Keep deployments that are offered before the booted one.
    #[arg(long)]
    retain_pending: bool,
    /// Keep deployments that are offered after the booted one.
    #[arg(long)]
    retain_rollback: bool,
    /// Offer it after the others.
    #[arg(long)]
    not_as_default: bool,
    /// Begin with the kernel arguments of the running system.
    #[arg(long)]
    karg_proc_cmdline: bool,
    /// Set a kernel argument, replacing those of the same name.
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Add a kernel argument.
    #[arg(long, value_name = "NAME=VALUE")]
    karg_append: Vec<String>,
    /// Begin without kernel arguments.
    #[arg(long)]
    karg_none: bool,
    /// Remove a kernel argument.
    #[arg(long, value_name = "NAME=VALUE")]
    karg_delete: Vec<String>,
    /// Lay this initramfs over that of the commit.
    #[arg(long, value_name = "FILE")]
    overlay_initrd: Vec<PathBuf>,
    /// The ref or commit.
    #[arg(value_name = "REFSPEC")]
    refspec: String,
}

impl Deploy {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        self.check()?;
        let stateroot = select::stateroot(sysroot, self.os.as_deref())
            .context("Looking for booted deployment")?;
        let locked = select::lock(sysroot, terminal)?;
        let commit = sysroot.repo().resolve(&self.refspec)?;
        let booted = select::booted(sysroot)?;
        let merge = select::merge_deployment(&sysroot.deployments()?, booted.as_ref(), &stateroot);
        let merge = merge.filter(|_| !self.no_merge);
        let mut request = DeployRequest::new(&stateroot, commit, self.origin()?);
        request.kernel_args = self.kernel_args(merge.as_ref())?;
        request.merge = if self.no_merge { Merge::Nothing } else { Merge::Default };
        request.booted = booted;
        request.retain = Retain {
            pending: self.retain || self.retain_pending,
            rollback: self.retain || self.retain_rollback,
        };
        request.place = if self.not_as_default { Place::AfterRunning } else { Place::Default };
        request.keep_objects = self.no_prune;
        request.overlay_initrds.clone_from(&self.overlay_initrd);
        if self.is_staged() {
            let lock = self.lock_finalization;
            let finalization = if lock { Finalization::Locked } else { Finalization::AtShutdown };
            staged::stage(&locked, &request, finalization, terminal)?;
            return Ok(());
        }
        let deployed = locked.deploy_with_report(&terminal.context, &request)?;
        report::deployed(&deployed, terminal)
    }

    fn is_staged(&self) -> bool {
        self.stage || self.lock_finalization
    }

    /// Options that contradict each other.
    fn check(&self) -> Result {
        let both = |one: &str, other: &str| {
            Err(Usage::failure(format!("Can't specify both {one} and {other}")))
        };
        if self.karg_none && self.karg_proc_cmdline {
            return both("--karg-proc-cmdline", "--karg-none");
        }
        if self.karg_none && !self.karg_delete.is_empty() {
            return both("--karg-none", "--karg-delete");
        }
        let retain = self.retain || self.retain_pending || self.retain_rollback;
        if self.is_staged() && retain {
            return Err(staged::not_with("--retain arguments"));
        }
        if self.is_staged() && self.not_as_default {
            return Err(staged::not_with("--not-as-default"));
        }
        Ok(())
    }

    fn origin(&self) -> Result<Origin> {
        let Some(path) = &self.origin_file else { return Ok(Origin::following(&self.refspec)) };
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("failed to read {}", path.display()))?;
        Ok(Origin::parse(&text)?)
    }

    /// The kernel command line, when it is not simply that of the merged deployment.
    fn kernel_args(&self, merge: Option<&Deployment>) -> Result<Option<KernelArgs>> {
        let lists = [&self.karg, &self.karg_append, &self.karg_delete];
        let changed = lists.iter().any(|list| !list.is_empty());
        if !changed && !self.karg_none && !self.karg_proc_cmdline {
            return Ok(None);
        }
        let mut args = if self.karg_none {
            KernelArgs::new()
        } else if self.karg_proc_cmdline {
            kargs::of_running_system()?
        } else {
            merge.map(|one| one.kernel_args.clone()).unwrap_or_default()
        };
        for arg in &self.karg {
            args.replace(arg);
        }
        for arg in &self.karg_append {
            args.append(arg);
        }
        for arg in &self.karg_delete {
            kargs::delete(&mut args, arg)?;
        }
        Ok(Some(args))
    }
}
