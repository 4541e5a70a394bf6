//! The image of a deployment that the kernel verifies, `.ostree.cfs`.

use updraft_bootenv::KernelArgs;
use updraft_error::{Classify as _, Kind};
use updraft_fs::{Dir, verity};
use updraft_repo::Wanted;
use updraft_repo::composefs::{DIGEST, Digests, checkout};
use updraft_task::Context;

use crate::prepare_root::{self, Composefs};
use crate::{DeploymentId, Locked, Result, Sysroot};

/// The name of a deployment's composefs image, in its folder.
pub const IMAGE: &str = ".ostree.cfs";

impl Sysroot {
    /// Whether a deployment is to be booted from its composefs image, as its `prepare-root.conf`
    /// and its kernel arguments say.
    ///
    /// # Errors
    /// [`crate::Error::Format`] and [`updraft_error::Kind::Invalid`] when that makes no sense;
    /// [`updraft_error::Kind::NotFound`] when there is no such deployment.
    pub fn composefs(&self, id: &DeploymentId) -> Result<Composefs> {
        let kernel_args = self.deployment(id)?.kernel_args;
        prepare_root::composefs(&self.root.open_dir(id.path())?, &kernel_args)
    }
}

impl Locked<'_> {
    /// Writes the image, as libostree does for every deployment since 2025.1, so that a later
    /// configuration may ask for it. Where the repository's configuration, the tree itself or the
    /// arguments that it will be booted with ask for it now, it is sealed, and a commit that says
    /// what the digest of its image is, is held to that.
    pub(crate) fn write_composefs_image(
        &self,
        ctx: &Context,
        id: &DeploymentId,
        root: &Dir,
        kernel_args: &KernelArgs,
    ) -> Result<()> {
        let sysroot = self.sysroot;
        let wanted = prepare_root::composefs(root, kernel_args)?;
        let is_wanted = wanted != Composefs::No || sysroot.repo.config().composefs != Wanted::No;
        let (commit, _) = sysroot.repo.load_commit(&id.checksum)?;
        // The digest of the image covers those of all files, so all are needed to compare.
        let all = is_wanted && commit.metadata.get(DIGEST).is_some();
        let digests = if all { Digests::All } else { Digests::Sealed };
        let path = sysroot.path.join(id.path()).join(IMAGE);
        let digest = match checkout(ctx, &sysroot.repo, &id.checksum, path, digests) {
            // What an image cannot say, such as a very long attribute, stops nobody who needs none.
            Err(error) if !is_wanted && error.kind() == Kind::Unsupported => {
                tracing::warn!("{id} gets no composefs image: {error}");
                return Ok(());
            }
            digest => digest?,
        };
        if !is_wanted {
            return Ok(());
        }
        let sealed = verity::seal(&root.open_file(IMAGE)?)?;
        if sealed == verity::Support::Unsupported
            && matches!(wanted, Composefs::Verity | Composefs::Signed)
        {
            tracing::warn!("{id} demands fs-verity, which this file system does not have");
        }
        tracing::debug!(%digest, ?sealed, "wrote the composefs image");
        Ok(())
    }
}
