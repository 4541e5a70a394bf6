//! The real `ostree`, as the other side of every comparison.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `ostree --repo=REPO ARGUMENTS…`.
pub(crate) fn run<S: AsRef<OsStr>>(repo: &Path, arguments: &[S]) -> Output {
    let (command, rest) = arguments.split_first().expect("a command");
    Command::new("ostree")
        .arg(command)
        .arg(format!("--repo={}", repo.display()))
        .args(rest)
        .env_remove("OSTREE_REPO")
        .env_remove("SOURCE_DATE_EPOCH")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .expect("the Debian package ostree is installed")
}

/// Runs a command that must succeed and returns what it printed.
#[track_caller]
pub(crate) fn ok<S: AsRef<OsStr>>(repo: &Path, arguments: &[S]) -> String {
    let output = run(repo, arguments);
    let shown: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ostree {shown:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
}

/// Runs a command that must fail and returns what it said.
#[track_caller]
pub(crate) fn fails<S: AsRef<OsStr>>(repo: &Path, arguments: &[S]) -> String {
    let output = run(repo, arguments);
    let shown: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    assert!(!output.status.success(), "ostree {shown:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes a repository.
pub(crate) fn init(repo: &Path, mode: &str) {
    ok(repo, &["init", &format!("--mode={mode}")]);
}

/// Commits `tree` to `branch` at a fixed time and returns the checksum.
#[track_caller]
pub(crate) fn commit(repo: &Path, branch: &str, tree: &Path, more: &[&str]) -> String {
    let tree = tree.to_str().expect("a path of this test");
    let mut arguments = vec!["commit", "--branch", branch, "--timestamp=@1700000000"];
    arguments.extend_from_slice(&["--subject", "Subject", "--body", "Two\nlines"]);
    arguments.extend_from_slice(more);
    let source = format!("--tree=dir={tree}");
    arguments.push(&source);
    ok(repo, &arguments)
}

/// Checks every object.
#[track_caller]
pub(crate) fn fsck(repo: &Path) {
    let text = ok(repo, &["fsck"]);
    assert!(text.contains("no errors found"), "{text}");
}
