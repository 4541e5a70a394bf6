//! The real `ostree`.

use std::path::Path;
use std::process::Command;

/// What a command printed, or what it said when it failed.
pub(crate) fn run(repo: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ostree")
        .arg(format!("--repo={}", repo.display()))
        .args(arguments)
        .env_remove("OSTREE_REPO")
        .env_remove("SOURCE_DATE_EPOCH")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .expect("the Debian package ostree is installed");
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("the peer, {arguments:?}: {}: {}", output.status, said.trim_end()))
}

/// As [`run`], which must succeed.
#[track_caller]
pub(crate) fn ok(repo: &Path, arguments: &[&str]) -> String {
    run(repo, arguments).unwrap_or_else(|said| panic!("{said}"))
}

/// Checks every object.
pub(crate) fn fsck(repo: &Path) -> Result<(), String> {
    let said = run(repo, &["fsck"])?;
    let partial = said.contains("partial commits not verified");
    if said.contains("no errors found") && !partial { Ok(()) } else { Err(said) }
}
