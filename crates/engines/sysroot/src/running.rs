//! Which deployment runs.
//!
//! The program that made the deployment the root of the system has left a note,
//! `/run/ostree-booted`: a dictionary that has, where the root is not the deployment's own directory
//! (composefs, overlays), the device and inode of that directory. Links that the kernel command
//! line names are no help: later changes let them lead elsewhere.

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::Metadata;
use updraft_ostree::gvariant::{Type, Value};

use crate::{Deployment, DeploymentId, Error, Result, Sysroot};

/// The note, in the folder of what is true until shutdown.
const BOOTED: &str = "ostree-booted";
/// The key with device and inode.
const BACKING_ROOT: &str = "backing-root-device-inode";
const MAX_NOTE: u64 = 1024 * 1024;

/// A place of a file system, by which a directory is known again.
type Identity = (u64, u64);

impl Sysroot {
    /// The deployment that runs; `None` when this is not the root of a running system, or that
    /// was not made from a deployment.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the system runs from a deployment, but the boot loader offers none
    /// that is it.
    pub fn running(&self) -> Result<Option<DeploymentId>> {
        self.running_of(&self.deployments()?)
    }

    pub(crate) fn running_of(&self, offered: &[Deployment]) -> Result<Option<DeploymentId>> {
        let Some(wanted) = self.running_identity()? else { return Ok(None) };
        for deployment in offered {
            let folder = self.root.open_dir(deployment.id.path())?;
            if identity(&folder)? == wanted {
                return Ok(Some(deployment.id.clone()));
            }
        }
        let note = self.options.run_folder.join(BOOTED);
        let message = format!(
            "Unexpected state: {} found and in / sysroot, but bootloader entry not found",
            note.display()
        );
        Err(Error::other(Kind::Invalid, message))
    }

    /// Whether this is the root of a running system that was made from a deployment.
    pub(crate) fn is_running(&self) -> Result<bool> {
        Ok(self.running_identity()?.is_some())
    }

    fn running_identity(&self) -> Result<Option<Identity>> {
        let Some(note) = self.read_run(BOOTED, MAX_NOTE)? else { return Ok(None) };
        let slash = identity(&Dir::open(&self.options.running_root)?)?;
        if identity(&self.root)? != slash {
            return Ok(None);
        }
        Ok(Some(backing_root(&note).unwrap_or(slash)))
    }

    /// A file of what is true until shutdown.
    pub(crate) fn read_run(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        match Dir::open(&self.options.run_folder) {
            Ok(run) => Ok(run.try_read(name, limit)?),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder of what is true until shutdown, for what is about deployments.
    pub(crate) fn run_ostree(&self) -> Result<Dir> {
        Ok(Dir::open(&self.options.run_folder)?.ensure_dir("ostree", 0o755)?)
    }
}

pub(crate) fn identity(dir: &Dir) -> Result<Identity> {
    let own = dir.own_metadata()?;
    Ok((own.device, own.inode))
}

/// The device and inode of the note. Older programs leave an empty one.
pub(crate) fn backing_root(note: &[u8]) -> Option<Identity> {
    let note = Metadata::from_value(Value::decode(&Type::vardict(), note).ok()?).ok()?;
    let Some(Value::Tuple(pair)) = note.get(BACKING_ROOT) else { return None };
    match pair.as_slice() {
        [Value::Uint64(device), Value::Uint64(inode)] => Some((*device, *inode)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_names_a_directory_or_nothing() {
        let pair = Value::Tuple(vec![Value::Uint64(7), Value::Uint64(9)]);
        let mut note = Metadata::new();
        note.insert(BACKING_ROOT, pair);
        assert_eq!(backing_root(&note.to_value().encode()), Some((7, 9)));
        assert_eq!(backing_root(b""), None);
        assert_eq!(backing_root(b"rubbish"), None);
    }
}
