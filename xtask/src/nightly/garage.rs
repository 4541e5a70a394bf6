//! Garage, a distributed store, as the store of the tests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// The version that is installed.
const VERSION: &str = "2.5.0";
/// Names a program of Garage for the tests; it is used instead of one that is installed.
const PROGRAM: &str = "UPDRAFT_TEST_GARAGE";

/// The tests of content in a bucket, servers that share one among them.
pub(super) fn run() -> Result<()> {
    let program = match std::env::var_os(PROGRAM) {
        Some(program) => PathBuf::from(program),
        None => install()?,
    };
    shell::run(super::tests_of("server", &["bucket::"]).env(PROGRAM, &program))
}

/// Builds it once, beside what is built of ours: that takes minutes.
fn install() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| shell::workspace().join("target"));
    let root = std::path::absolute(target).context("find the target folder")?.join("garage");
    let program = root.join("bin/garage");
    if !program.exists() {
        let mut install: Command = shell::cargo();
        install.args(["install", "garage", "--version", VERSION, "--locked", "--root"]).arg(&root);
        install.args(["--no-default-features", "--features", "bundled-libs,sqlite"]);
        shell::run(install.env("CARGO_TARGET_DIR", root.join("build")))?;
    }
    Ok(program)
}
