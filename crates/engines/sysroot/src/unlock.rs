//! Making the `/usr` of the deployment that runs writable.
//!
//! An overlay is mounted over it. What is written goes to a directory beside the deployment
//! (`ostree/deploy/OS/backing/COMMIT.N/usr-transient`) until the next boot, or, for a hotfix, to
//! one inside of it that every boot mounts again; before that a clone without the hotfix is made
//! as a way back. Objects of the repository, which the deployment's files are, never change.

use std::fmt;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::mount::{Overlay, Writes};
use updraft_fs::{Dir, Immutable, atomic_write_unsynced};
use updraft_task::Context;

use crate::{
    DeployRequest, Deployment, DeploymentId, Error, Locked, Merge, Origin, Place, Result, Retain,
    Sysroot, backing,
};

const UPPER: &str = ".usr-ovl-upper";
const WORK: &str = ".usr-ovl-work";

/// For how long, and for whom, `/usr` becomes writable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unlock {
    /// Until the next boot.
    #[default]
    Development,
    /// Over boots, with a clone to go back to.
    Hotfix,
    /// Until the next boot, for programs that mount it writable for themselves.
    Transient,
}

/// Whether, and how, the `/usr` of a deployment was made writable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unlocked {
    /// It was not.
    #[default]
    None,
    /// In this way.
    By(Unlock),
}

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::By(Unlock::Development) => "development",
            Self::By(Unlock::Hotfix) => "hotfix",
            Self::By(Unlock::Transient) => "transient",
        })
    }
}

impl Sysroot {
    /// Whether, and how, a deployment was made writable.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn unlocked(&self, deployment: &Deployment) -> Result<Unlocked> {
        let origin = deployment.origin.as_ref();
        if origin.and_then(|origin| origin.get("unlocked")).as_deref() == Some("hotfix") {
            return Ok(Unlocked::By(Unlock::Hotfix));
        }
        if self.is_running()? {
            for how in [Unlock::Development, Unlock::Transient] {
                if self.read_run(&flag(&deployment.id, how), 1)?.is_some() {
                    return Ok(Unlocked::By(how));
                }
            }
        }
        Ok(Unlocked::None)
    }
}

impl Locked<'_> {
    /// Makes `/usr` of the deployment that runs writable.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the system does not run from a deployment; [`Kind::Conflict`] when
    /// its `/usr` is writable already; [`Error::Fs`] when the kernel mounts no overlay.
    pub fn unlock(&self, ctx: &Context, how: Unlock) -> Result<()> {
        let id = self.sysroot.running()?.ok_or_else(|| {
            let message = "Not currently booted into an OSTree system";
            Error::other(Kind::NotFound, message)
        })?;
        let deployment = self.sysroot.deployment(&id)?;
        let unlocked = self.sysroot.unlocked(&deployment)?;
        if unlocked != Unlocked::None {
            let message = format!("Deployment is already in unlocked state: {unlocked}");
            return Err(Error::other(Kind::Conflict, message));
        }
        if how == Unlock::Hotfix {
            self.clone_as_way_back(ctx, &deployment)?;
        }
        let root = self.sysroot.root.open_dir(id.path())?;
        let upper = match how {
            Unlock::Hotfix => self.hotfix_folders(&root, &id)?,
            Unlock::Development | Unlock::Transient => self.transient_folders(&root, &id)?,
        };
        let folder = |path: &Path| self.sysroot.options.running_root.join(path);
        // What is seen now, and not the deployment's directory: the kernel may vouch for it.
        let usr = folder(Path::new("usr"));
        let (upper, work) = (folder(&upper.0), folder(&upper.1));
        let overlay = Overlay { lower: &usr, upper: &upper, work: &work };
        let writes = if how == Unlock::Transient { Writes::Refused } else { Writes::Upper };
        overlay.mount(&usr, writes)?;
        self.remember(&deployment, how)
    }

    /// A deployment of the same commit, which stays as it is.
    fn clone_as_way_back(&self, ctx: &Context, running: &Deployment) -> Result<()> {
        let origin = running.origin.clone().unwrap_or_else(Origin::empty).for_upgrade();
        let request = DeployRequest {
            kernel_args: Some(running.kernel_args.clone()),
            merge: Merge::From(running.id.clone()),
            booted: Some(running.id.clone()),
            retain: Retain::ALL,
            place: Place::AfterRunning,
            keep_objects: true,
            ..DeployRequest::new(&running.id.stateroot, running.id.checksum, origin)
        };
        self.deploy(ctx, &request).map(drop)
    }

    /// Inside the deployment, which is opened for that. Whoever boots it looks there.
    fn hotfix_folders(&self, root: &Dir, id: &DeploymentId) -> Result<(PathBuf, PathBuf)> {
        root.set_immutable(Immutable::No)?;
        make_folders(root, root, UPPER, WORK)?;
        if !self.sysroot.options.mutable_deployments {
            root.set_immutable(Immutable::Yes)?;
        }
        Ok((id.path().join(UPPER), id.path().join(WORK)))
    }

    /// Beside the deployment, so that nothing of it is left when that is removed.
    fn transient_folders(&self, root: &Dir, id: &DeploymentId) -> Result<(PathBuf, PathBuf)> {
        let stateroot = self.sysroot.stateroot_dir(&id.stateroot)?;
        let backing =
            stateroot.ensure_dir(backing::FOLDER, 0o700)?.ensure_dir(id.dir_name(), 0o700)?;
        // What an earlier boot has left is not to be seen again.
        crate::copy::remove(&backing, Path::new("usr-transient"))?;
        let folder = backing.ensure_dir("usr-transient", 0o700)?;
        make_folders(root, &folder, "upper", "work")?;
        let path = PathBuf::from(format!(
            "ostree/deploy/{}/backing/{}/usr-transient",
            id.stateroot,
            id.dir_name()
        ));
        Ok((path.join("upper"), path.join("work")))
    }

    fn remember(&self, deployment: &Deployment, how: Unlock) -> Result<()> {
        if how == Unlock::Hotfix {
            let mut origin = deployment.origin.clone().unwrap_or_else(Origin::empty);
            origin.set("unlocked", "hotfix");
            return self.write_origin(&deployment.id, &origin);
        }
        let run = self.sysroot.run_ostree()?;
        let state = run.ensure_dir("deployment-state", 0o755)?;
        let folder = state.ensure_dir(deployment.id.dir_name(), 0o755)?;
        Ok(atomic_write_unsynced(&folder, flag_name(how), b"", 0o644)?)
    }
}

/// The upper directory looks like `usr` of the deployment: its attributes are what is seen.
fn make_folders(root: &Dir, folder: &Dir, upper: &str, work: &str) -> Result<()> {
    let upper = folder.ensure_dir(upper, 0o755)?;
    let usr = root.open_dir("usr")?;
    crate::copy::attributes_of_dir(&usr, &usr.own_metadata()?, &upper)?;
    folder.ensure_dir(work, 0o755)?;
    Ok(folder.sync()?)
}

fn flag(id: &DeploymentId, how: Unlock) -> String {
    format!("ostree/deployment-state/{}/{}", id.dir_name(), flag_name(how))
}

fn flag_name(how: Unlock) -> &'static str {
    if how == Unlock::Transient { "unlocked-transient" } else { "unlocked-development" }
}
