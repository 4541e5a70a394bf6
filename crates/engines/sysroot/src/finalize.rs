//! Staging a deployment until the running system is shut down, and finishing it then.

use updraft_error::Kind;
use updraft_fs::atomic_write;
use updraft_task::{Context, Event, Unit};

use crate::retention::Rules;
use crate::staged::note::{Note, Parts};
use crate::{
    DeployRequest, Deployment, Error, EtcChanges, Locked, Place, Result, Retain, Written, copy,
};

const PHASE: &str = "staging";
/// Tells the next boot why the staged deployment was not finished. In `/boot/ostree`.
const FAILURE_STAMP: &str = "finalize-failure.stamp";
const MAX_STAMP: u64 = 64 * 1024;

/// Whether a staged deployment is finished at the next shutdown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Finalization {
    /// It is.
    #[default]
    AtShutdown,
    /// Not before somebody allows it.
    Locked,
}

/// What became of the staged deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum Finalized {
    /// There is none.
    Nothing,
    /// It is locked, and stays as it is.
    Locked,
    /// It is offered, and the default.
    Done {
        /// What it took over from the `/etc` of another.
        etc_changes: Option<EtcChanges>,
        /// Whether `/var` was labelled for the first time.
        var_labelled: bool,
        /// How it came to be offered.
        written: Written,
    },
}

impl Locked<'_> {
    /// Makes a deployment that becomes the default when the running system is shut down, in the
    /// place of one that was staged before.
    ///
    /// Of a request, what is kept and its place are not looked at. Somebody has to call
    /// [`Locked::finalize_staged`] at shutdown.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the system does not run from a deployment of this sysroot, and as
    /// [`Locked::deploy`].
    pub fn stage_until_shutdown(
        &self,
        ctx: &Context,
        request: &DeployRequest,
        finalization: Finalization,
    ) -> Result<Deployment> {
        if !self.sysroot.is_running()? {
            let message = "Cannot stage deployment: Not currently booted into an OSTree system";
            return Err(Error::other(Kind::Invalid, message));
        }
        let current = self.sysroot.all_deployments()?;
        self.remove_leftovers(&current)?;
        let merge = self.merge_deployment(request, &current)?;
        ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
        let mut deployment = self.check_out(ctx, request, merge.as_ref())?;
        ctx.check()?;
        let overlay_initrds = self.keep_staged_initrds(&request.overlay_initrds)?;
        if let Some(old) = self.sysroot.staged()? {
            self.drop_staged(&old.deployment.id)?;
        }
        self.forget_soft_reboot()?;
        let kernel_args = request.kernel_args.as_ref().map(|args| words(&args.to_string()));
        let note = Note::new(Parts {
            target: (&deployment.id, &deployment.boot_checksum),
            merge: merge.as_ref().map(|merge| (&merge.id, merge.boot_checksum.as_str())),
            kernel_args,
            overlay_initrds,
            locked: finalization == Finalization::Locked,
        });
        if !self.sysroot.options.skip_sync {
            self.sysroot.ostree.syncfs()?;
        }
        self.write_staged(&note)?;
        ctx.report(&Event::Finished { phase: PHASE });
        self.cleanup_deployments()?;
        self.touch_deployments()?;
        deployment.is_staged = true;
        Ok(deployment)
    }

    /// Finishes the staged deployment, if there is one that is not locked: merges `/etc` as it is
    /// now, and offers it as the default. To be called when nobody changes `/etc` any more.
    ///
    /// What tells of it is removed first. So an interruption loses the update, and never leaves
    /// half of it; a failure is told to the next boot, whose [`Locked::finalize_failure`] has it.
    ///
    /// # Errors
    /// As [`Locked::deploy`].
    pub fn finalize_staged(&self) -> Result<Finalized> {
        let done = self.try_finalize_staged();
        if let Err(error) = &done
            && let Err(stamp) = self.write_failure(error)
        {
            tracing::warn!(error = %stamp, "the next boot cannot be told of the failure");
        }
        done
    }

    fn try_finalize_staged(&self) -> Result<Finalized> {
        let current = self.sysroot.deployments()?;
        let Some(staged) = self.sysroot.staged_beside(&current)? else {
            return Ok(Finalized::Nothing);
        };
        if staged.is_locked {
            return Ok(Finalized::Locked);
        }
        let merge = staged.merge.as_ref().map(|wanted| {
            let found = current.iter().find(|deployment| deployment.id == *wanted);
            found.cloned().ok_or_else(|| {
                let name = wanted.dir_name();
                let message = format!("Failed to find merge deployment {name} for staged");
                Error::other(Kind::NotFound, message)
            })
        });
        let merge = merge.transpose()?;
        let booted = self.sysroot.running_of(&current)?;
        // From here on an interruption loses the update, but never applies half of it.
        self.forget_staged()?;
        let mut deployment = staged.deployment;
        deployment.is_staged = false;
        let (etc_changes, var_labelled) = self.complete(&deployment.id, merge.as_ref())?;
        self.install_staged_initrds(&staged.note)?;
        let rules = Rules {
            retain: Retain::default(),
            place: Place::Default,
            booted: booted.as_ref(),
            merge: merge.as_ref().map(|merge| &merge.id),
        };
        let list = rules.arrange(current, deployment);
        self.make_room_in_boot(&list)?;
        let written = self.write_deployments(&list)?;
        // The objects are pruned by the next deployment: a shutdown shall not wait for that.
        self.cleanup_deployments()?;
        Ok(Finalized::Done { etc_changes, var_labelled, written })
    }

    fn write_failure(&self, error: &Error) -> Result<()> {
        let boot = self.sysroot.root.ensure_dir("boot", 0o755)?.ensure_dir("ostree", 0o755)?;
        Ok(atomic_write(&boot, FAILURE_STAMP, error.chain().as_bytes(), 0o644)?)
    }

    /// Why the staged deployment was not finished when the system was shut down; told once.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn finalize_failure(&self) -> Result<Option<String>> {
        let Some(boot) = self.sysroot.boot_dir()? else { return Ok(None) };
        let Some(ostree) = boot.try_open_dir("ostree")? else { return Ok(None) };
        let Some(bytes) = ostree.try_read(FAILURE_STAMP, MAX_STAMP)? else { return Ok(None) };
        copy::remove(&ostree, std::path::Path::new(FAILURE_STAMP))?;
        ostree.sync()?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The arguments one by one; blanks within quotes do not part them.
fn words(line: &str) -> Vec<String> {
    let mut quoted = false;
    line.split(|c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        c == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
    .map(str::to_owned)
    .collect()
}
