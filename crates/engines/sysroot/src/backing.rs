//! Folders beside a deployment for what is laid over it: `ostree/deploy/OS/backing/COMMIT.N`.
//!
//! ```text
//! root-transient/{upper,work}     for a writable root that is forgotten
//! usr-transient/{upper,work}      see `unlock`
//! ```
//! They are there from the deployment on, as libostree has them, since a root that is mounted
//! read-only cannot get them later. The upper folder has the mode and the label of the root, for
//! its attributes are what is seen.

use updraft_fs::Dir;

use crate::{DeploymentId, Locked, Result, label};

/// The folder of a stateroot; nobody but root looks into it.
pub(crate) const FOLDER: &str = "backing";
const ROOT_TRANSIENT: &str = "root-transient";

impl Locked<'_> {
    /// Makes the folders of a deployment.
    pub(crate) fn make_backing(&self, id: &DeploymentId, root: &Dir) -> Result<()> {
        let stateroot = self.sysroot.stateroot_dir(&id.stateroot)?;
        let own = stateroot.ensure_dir(FOLDER, 0o700)?.ensure_dir(id.dir_name(), 0o700)?;
        let folder = own.ensure_dir(ROOT_TRANSIENT, 0o700)?;
        folder.ensure_dir("work", 0o700)?;
        let upper = folder.ensure_dir("upper", 0o755)?;
        let metadata = root.own_metadata()?;
        upper.chown_self(metadata.uid, metadata.gid)?;
        upper.chmod_self(metadata.permissions())?;
        label::as_root(root, &upper)?;
        folder.sync()?;
        own.sync()?;
        Ok(())
    }
}
