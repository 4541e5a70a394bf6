//! The static `updraft-init`, as it is put into an initramfs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, programs};

/// The profile of the workspace that makes it small.
const PROFILE: &str = "init";

/// Builds `updraft-init` for this machine as a small static program, when it is not up to date, and
/// gives its path.
///
/// # Errors
/// When it does not compile.
pub fn build_updraft_init() -> Result<PathBuf> {
    build_updraft_init_for(&this_machine())
}

/// As [`build_updraft_init`], for a target of the compiler, such as `aarch64-unknown-linux-gnu`.
///
/// # Errors
/// When it does not compile.
pub fn build_updraft_init_for(triple: &str) -> Result<PathBuf> {
    build_static("updraft-init", triple)
}

/// Builds `updraft-recovery` in the same way.
///
/// # Errors
/// When it does not compile.
pub fn build_updraft_recovery_for(triple: &str) -> Result<PathBuf> {
    build_static("updraft-recovery", triple)
}

/// This machine, as the compiler names it.
#[must_use]
pub fn this_machine() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// A program that is small and needs no library.
fn build_static(program: &str, triple: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let target = cache::target_folder()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--profile", PROFILE, "--package", program])
        .args(["--target", triple, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(workspace.context("find the workspace")?);
    programs::run(&mut command)?;
    Ok(target.join(triple).join(PROFILE).join(program))
}
