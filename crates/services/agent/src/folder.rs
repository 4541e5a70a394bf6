//! Folders into which the device's maker puts programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// How many programs of one folder are run.
const MAX_PROGRAMS: usize = 32;

/// The files that may be executed, by name.
pub(crate) fn programs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let mut programs: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_program).collect();
    programs.sort();
    programs.truncate(MAX_PROGRAMS);
    programs
}
