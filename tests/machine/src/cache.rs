//! Where things stay that are made once for all tests: a folder below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::FlockOperation;

/// What cargo writes into every target folder.
const MARK: &str = ".rustc_info.json";

/// The target folder of the build that the running program belongs to.
///
/// # Errors
/// When the program is in none.
pub fn target_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the running program")?;
    own.ancestors()
        .find(|folder| folder.join(MARK).is_file())
        .map(Path::to_path_buf)
        .with_context(|| format!("{} is not in a target folder of cargo", own.display()))
}

/// The folder `machine/NAME` below the target folder, filled by `make` when it is not there yet.
/// Tests that want it at the same time wait for the first.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let top = target_folder()?.join("machine");
    fs::create_dir_all(&top)?;
    let lock = File::create(top.join(format!("{name}.lock")))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    let done = top.join(name);
    if !done.exists() {
        let begun = tempfile::tempdir_in(&top)?;
        make(begun.path())?;
        fs::rename(begun.path(), &done)?;
    }
    Ok(done)
}
