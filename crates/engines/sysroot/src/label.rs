//! SELinux labels of what a deployment does not share with its commit: `/etc`, `/var`, and what is
//! written into `/boot`.

use std::path::Path;

use updraft_error::{Classify as _, Kind};
use updraft_fs::{Dir, FileKind, Metadata, atomic_write, xattr};
use updraft_repo::selinux::{self, Policy};

use crate::{DeploymentId, Error, Locked, Result};

const ATTRIBUTE: &str = "security.selinux";
/// Says in a stateroot's `/var` that it was labelled once. Later the system's own tools do it.
const VAR_STAMP: &str = ".ostree-selabeled";
/// What the stamp says when there was no policy to label by. That of libostree, which labels no more
/// then, is empty.
const NO_POLICY: &[u8] = b"no policy\n";

/// Labels `/etc` of a deployment by the policy that is in it.
pub(crate) fn etc(root: &Dir) -> Result<()> {
    match selinux::from_folder(root.path())? {
        Some(policy) => label_tree(&policy, root, Path::new("etc"), "/etc").map(drop),
        None => Ok(()),
    }
}

/// Labels `/var` by the policy of a deployment, unless that was done before. Tells whether there was
/// no stamp yet.
pub(crate) fn var(root: &Dir, var: &Dir) -> Result<bool> {
    let length = NO_POLICY.len() as u64;
    // Programs of the system may write there: what is not ours is no reason to fail.
    let stamp = var.try_metadata(VAR_STAMP)?;
    let is_first = stamp.is_none();
    let is_ours = |stamp: Metadata| stamp.kind == FileKind::Regular && stamp.size == length;
    if stamp.is_some_and(|stamp| !is_ours(stamp)) {
        return Ok(false);
    }
    let Some(policy) = selinux::from_folder(root.path())? else {
        if is_first {
            atomic_write(var, VAR_STAMP, NO_POLICY, 0o644)?;
        }
        return Ok(is_first);
    };
    label_one(&policy, var, Path::new("."), "/var")?;
    label_below(&policy, var, "/var")?;
    atomic_write(var, VAR_STAMP, b"", 0o644)?;
    label_one(&policy, var, Path::new(VAR_STAMP), &format!("/var/{VAR_STAMP}"))?;
    Ok(is_first)
}

/// Gives a directory the label of the root.
pub(crate) fn as_root(root: &Dir, dir: &Dir) -> Result<()> {
    match selinux::from_folder(root.path())? {
        Some(policy) => label_one(&policy, dir, Path::new("."), "/").map(drop),
        None => Ok(()),
    }
}

/// Labels what deployments write into `/boot`, by the policy of `root`: the entries of `loader.B`,
/// the new link to them, and kernels. A file that is an object of the repository, too, keeps its
/// label.
pub(crate) fn boot(root: &Dir, boot: &Dir, loader: &str, link: &str) -> Result<()> {
    let Some(policy) = selinux::from_folder(root.path())? else { return Ok(()) };
    let label = |name: &str, path: &str| -> Result<()> {
        if boot.exists(name)? {
            label_unshared(&policy, boot, Path::new(name), path)?;
        }
        Ok(())
    };
    let all = label(loader, &format!("/boot/{loader}"))
        .and_then(|()| label(link, "/boot/loader"))
        .and_then(|()| label("ostree", "/boot/ostree"));
    match all {
        Err(error) if error.kind() == Kind::Unsupported => {
            tracing::debug!(%error, "/boot is on a file system without labels");
            Ok(())
        }
        done => done,
    }
}

/// As [`label_tree`], without files that have other names elsewhere.
fn label_unshared(policy: &Policy, dir: &Dir, name: &Path, path: &str) -> Result<()> {
    let metadata = dir.metadata(name)?;
    if metadata.kind == FileKind::Directory {
        label_one(policy, dir, name, path)?;
        let below = dir.open_dir(name)?;
        for entry in below.sorted_entries()? {
            let path = format!("{path}/{}", entry.name.to_string_lossy());
            label_unshared(policy, &below, Path::new(&entry.name), &path)?;
        }
    } else if metadata.links == 1 {
        label_one(policy, dir, name, path)?;
    }
    Ok(())
}

impl Locked<'_> {
    /// Labels a part of a deployment, `below` its root, as the policy names it with `prefix` before
    /// it. Tells how many labels were others before; `None` when there is no policy.
    ///
    /// # Errors
    /// [`Error::Fs`]; [`Error::Repo`] for a policy that cannot be understood.
    pub fn ensure_labeled(
        &self,
        id: &DeploymentId,
        below: &Path,
        prefix: &str,
    ) -> Result<Option<u64>> {
        let root = self.sysroot.root.open_dir(id.path())?;
        let Some(policy) = selinux::from_folder(root.path())? else { return Ok(None) };
        let relative = below.strip_prefix("/").unwrap_or(below);
        let inside = relative.components().collect::<std::path::PathBuf>();
        let at = format!("{}/{}", prefix.trim_end_matches('/'), inside.display());
        if inside.as_os_str().is_empty() {
            let mut changed = label_one(&policy, &root, Path::new("."), slash_of(prefix))?;
            changed += label_below(&policy, &root, prefix.trim_end_matches('/'))?;
            return Ok(Some(changed));
        }
        label_tree(&policy, &root, &inside, &at).map(Some)
    }
}

fn slash_of(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

/// Labels `name` and all below it. Other file systems are entered: there are none in a deployment.
fn label_tree(policy: &Policy, dir: &Dir, name: &Path, path: &str) -> Result<u64> {
    let mut changed = label_one(policy, dir, name, path)?;
    if dir.metadata(name)?.kind == FileKind::Directory {
        changed += label_below(policy, &dir.open_dir(name)?, path)?;
    }
    Ok(changed)
}

fn label_below(policy: &Policy, dir: &Dir, path: &str) -> Result<u64> {
    let mut changed = 0_u64;
    for entry in dir.sorted_entries()? {
        let path = format!("{path}/{}", entry.name.to_string_lossy());
        changed = changed.saturating_add(label_tree(policy, dir, Path::new(&entry.name), &path)?);
    }
    Ok(changed)
}

fn label_one(policy: &Policy, dir: &Dir, name: &Path, path: &str) -> Result<u64> {
    let metadata = dir.metadata(name)?;
    let Some(label) = policy.label(path, metadata.mode) else { return Ok(0) };
    // The kernel keeps labels with the NUL that ends them.
    let label = [label.as_bytes(), b"\0"].concat();
    if xattr::get_at(dir, name, ATTRIBUTE)?.as_deref() == Some(&label) {
        return Ok(0);
    }
    xattr::set_at(dir, name, ATTRIBUTE, &label).map_err(Error::from)?;
    Ok(1)
}
