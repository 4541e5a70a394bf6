//! The real `ostree`.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn run(repo: &Path, arguments: &[&str]) -> Output {
    Command::new("ostree")
        .arg(format!("--repo={}", repo.display()))
        .args(arguments)
        .env_remove("OSTREE_REPO")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .expect("the Debian package ostree is installed")
}

/// Runs a command that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn ok(repo: &Path, arguments: &[&str]) -> String {
    let output = run(repo, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ostree {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[track_caller]
pub(crate) fn init(repo: &Path, mode: &str) {
    ok(repo, &["init", &format!("--mode={mode}")]);
}

#[track_caller]
pub(crate) fn commit(repo: &Path, branch: &str, tree: &Path, time: u64) -> String {
    let (branch, time) = (format!("--branch={branch}"), format!("--timestamp=@{time}"));
    let tree = format!("--tree=dir={}", tree.display());
    ok(repo, &["commit", &branch, &time, "--subject=s", &tree])
}

#[track_caller]
pub(crate) fn fsck(repo: &Path) {
    let text = ok(repo, &["fsck"]);
    assert!(text.contains("no errors found"), "{text}");
}
