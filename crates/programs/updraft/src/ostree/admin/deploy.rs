//! `ostree admin deploy`.

use std::path::PathBuf;

use clap::Args;
use updraft_bootenv::KernelArgs;
use updraft_error::Kind;
use updraft_sysroot::{DeployRequest, Deployment, Merge, Origin, Sysroot};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::{booted, stateroot};

/// Deploy a commit and make it the default.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The stateroot; by default that of the booted deployment.
    #[arg(long, visible_alias = "stateroot", value_name = "NAME")]
    os: Option<String>,
    /// Where later upgrades come from.
    #[arg(long, value_name = "FILE")]
    origin_file: Option<PathBuf>,
    /// Take over neither /etc nor kernel arguments.
    #[arg(long)]
    no_merge: bool,
    /// Keep all other deployments.
    #[arg(long)]
    retain: bool,
    /// Offer it after the others.
    #[arg(long)]
    not_as_default: bool,
    /// Accepted for compatibility: unneeded objects are not removed here.
    #[arg(long)]
    no_prune: bool,
    /// Set a kernel argument, replacing those of the same name.
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Add a kernel argument.
    #[arg(long, value_name = "NAME=VALUE")]
    karg_append: Vec<String>,
    /// Remove a kernel argument.
    #[arg(long, value_name = "NAME=VALUE")]
    karg_delete: Vec<String>,
    /// Begin without kernel arguments.
    #[arg(long, conflicts_with = "karg_proc_cmdline")]
    karg_none: bool,
    /// Begin with the kernel arguments of the running system.
    #[arg(long)]
    karg_proc_cmdline: bool,
    /// The ref or commit.
    #[arg(value_name = "REFSPEC")]
    refspec: String,
}

impl Deploy {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let stateroot = stateroot(sysroot, self.os.as_deref())?;
        let commit = sysroot.repo().resolve(&self.refspec)?;
        let before = sysroot.deployments()?;
        let booted = booted(sysroot)?;
        let merged = before.iter().find(|one| Some(&one.id) == booted.as_ref());
        let merged = merged.filter(|one| one.id.stateroot == stateroot);
        let merged = merged.or_else(|| before.iter().find(|one| one.id.stateroot == stateroot));
        let merged = merged.filter(|_| !self.no_merge);

        let mut request = DeployRequest::new(&stateroot, commit, self.origin()?);
        request.kernel_args = self.kernel_args(merged)?;
        request.merge = if self.no_merge { Merge::Nothing } else { Merge::Default };
        request.booted = booted;
        request.retain = self.retain;
        if let Some(merged) = merged {
            let changes = sysroot.etc_changes(&merged.id)?;
            terminal.line(format!(
                "Copying /etc changes: {} modified, {} removed, {} added",
                changes.modified.len(),
                changes.removed.len(),
                changes.added.len()
            ))?;
        }
        let version = sysroot.boot_version()?;
        let locked = sysroot.lock(&terminal.context)?;
        if self.not_as_default {
            locked.stage(&terminal.context, &request)?;
        } else {
            locked.deploy(&terminal.context, &request)?;
        }
        drop(locked);
        report(sysroot, version, before.len(), terminal)
    }

    fn origin(&self) -> Result<Origin> {
        let Some(path) = &self.origin_file else { return Ok(Origin::following(&self.refspec)) };
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("failed to read {}", path.display()))?;
        Ok(Origin::parse(&text)?)
    }

    /// The kernel command line, when it is not simply that of the merged deployment.
    fn kernel_args(&self, merged: Option<&Deployment>) -> Result<Option<KernelArgs>> {
        let lists = [&self.karg, &self.karg_append, &self.karg_delete];
        let changed = lists.iter().any(|list| !list.is_empty());
        if !changed && !self.karg_none && !self.karg_proc_cmdline {
            return Ok(None);
        }
        let mut args = if self.karg_none {
            KernelArgs::new()
        } else if self.karg_proc_cmdline {
            let line =
                std::fs::read_to_string("/proc/cmdline").context("failed to read /proc/cmdline")?;
            let mut args = KernelArgs::parse(&line);
            for key in ["ostree", "BOOT_IMAGE", "initrd"] {
                args.remove_key(key);
            }
            args
        } else {
            merged.map(|one| one.kernel_args.clone()).unwrap_or_default()
        };
        for arg in &self.karg {
            args.replace(arg);
        }
        for arg in &self.karg_append {
            args.append(arg);
        }
        for arg in &self.karg_delete {
            args.delete(arg).map_err(|error| Failure::of(Kind::NotFound, error))?;
        }
        Ok(Some(args))
    }
}

fn report(
    sysroot: &Sysroot,
    before: updraft_sysroot::BootVersion,
    count_before: usize,
    terminal: &Terminal,
) -> Result {
    let now = sysroot.boot_version()?;
    let swap = if now.version == before.version { "no" } else { "yes" };
    let count = sysroot.deployments()?.len();
    let sign = if count < count_before { "-" } else { "" };
    let change = count.abs_diff(count_before);
    terminal.line(format!(
        "Bootloader updated; bootconfig swap: {swap}; bootversion: boot.{}.{}, deployment count \
         change: {sign}{change}",
        now.version, now.subversion
    ))
}
