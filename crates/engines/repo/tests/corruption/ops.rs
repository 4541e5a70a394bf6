//! The operations, each without a panic, and what a repository must be after one that failed.

use std::error::Error as StdError;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use updraft_http::{Client, ClientOptions};
use updraft_ostree::Checksum;
use updraft_repo::Repo;
use updraft_repo::checkout::{CheckoutOptions, checkout as check_out};
use updraft_repo::fsck::{Fault, FsckOptions, OnCorruption, Problem, fsck as check};
use updraft_repo::pull::{self, Deltas, PullOptions, Source};
use updraft_task::Context;

/// An error with its causes.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Runs `work`; a panic anywhere in it fails the test with these words.
#[track_caller]
pub(crate) fn calm<T, E: StdError>(
    what: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    let result = catch_unwind(AssertUnwindSafe(work));
    assert!(result.is_ok(), "{what}: it panicked");
    result.expect("not a panic").map_err(|error| chain(&error))
}

/// Runs a row of a table; gives the words of its panic.
pub(crate) fn attempt(row: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(row)).map_err(|payload| match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "it panicked".to_owned(),
    })
}

/// A new repository that does not mind small or slow disks, made without waiting for one.
pub(crate) fn init(path: &Path, mode: &str) -> Repo {
    for dir in
        ["tmp", "extensions", "state", "refs/heads", "refs/mirrors", "refs/remotes", "objects"]
    {
        fs::create_dir_all(path.join(dir)).unwrap();
    }
    let mode = mode.parse::<updraft_ostree::RepoMode>().unwrap();
    let config = format!(
        "[core]\nrepo_version=1\nmode={}\nmin-free-space-size=1MB\nfsync=false\n",
        mode.as_str()
    );
    fs::write(path.join("config"), config).unwrap();
    Repo::open(path).unwrap()
}

pub(crate) fn local(repo: &Repo) -> Source {
    Source::Local(repo.clone())
}

pub(crate) fn http(url: &str) -> Source {
    let options = ClientOptions {
        retry_pause: std::time::Duration::from_millis(1),
        retries: 1,
        ..ClientOptions::default()
    };
    Source::Http { client: Client::new(&options).unwrap(), url: url.to_owned() }
}

pub(crate) fn pull_options(what: &str, deltas: Deltas) -> PullOptions {
    PullOptions { refs: vec![what.to_owned()], deltas, ..PullOptions::default() }
}

/// Pulls `what`.
#[track_caller]
pub(crate) fn pull(repo: &Repo, from: &Source, what: &str, deltas: Deltas) -> Result<(), String> {
    let options = pull_options(what, deltas);
    calm("pull", || pull::pull(&Context::silent(), repo, from, &options)).map(drop)
}

/// Checks `main` out into a new folder, which is gone afterwards.
#[track_caller]
pub(crate) fn checkout(
    repo: &Repo,
    commit: &Checksum,
    options: &CheckoutOptions,
) -> Result<(), String> {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let to = folder.path().join("out");
    calm("checkout", || check_out(&Context::silent(), repo, commit, &to, options)).map(drop)
}

/// What fsck finds, in words; an error when it gave up.
#[track_caller]
pub(crate) fn fsck(repo: &Repo) -> Result<Vec<String>, String> {
    let options = FsckOptions { on_corruption: OnCorruption::Continue, ..FsckOptions::default() };
    let report = calm("fsck", || check(&Context::silent(), repo, &options))?;
    Ok(report.problems.iter().map(ToString::to_string).collect())
}

/// Lets fsck remove what is wrong; gives what it still finds then.
#[track_caller]
pub(crate) fn fsck_delete(repo: &Repo) -> Result<Vec<String>, String> {
    let options = FsckOptions { on_corruption: OnCorruption::Delete, ..FsckOptions::default() };
    let report = calm("fsck --delete", || check(&Context::silent(), repo, &options))?;
    let stays = |problem: &&Problem| problem.fault != Fault::Missing && !problem.deleted;
    let stay: Vec<_> = report.problems.iter().filter(stays).map(ToString::to_string).collect();
    assert!(stay.is_empty(), "fsck --delete leaves {stay:?}");
    // A ref to a commit that was removed is found again and again.
    let again = calm("fsck", || check(&Context::silent(), repo, &FsckOptions::default()))?;
    let found = again.problems.iter().filter(|problem| problem.refs.is_empty());
    Ok(found.map(ToString::to_string).collect())
}

/// Takes the marks away that fsck gave to commits which lacked something.
pub(crate) fn forget_marks(repo: &Repo) {
    let state = repo.path().join("state");
    drop(fs::remove_dir_all(&state));
    fs::create_dir(&state).unwrap();
}

/// Nothing shows of an operation that failed: no ref that was not there, nothing unsound.
#[track_caller]
pub(crate) fn untouched(what: &str, repo: &Repo, refs: usize) {
    assert_eq!(repo.refs().unwrap().len(), refs, "{what}: refs");
    assert_eq!(fsck(repo), Ok(vec![]), "{what}: fsck afterwards");
    for entry in fs::read_dir(repo.path().join("tmp")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name.starts_with("staging-") || name.starts_with("partial-") || name == "cache";
        assert!(known, "{what}: {name} is left");
    }
}

/// All of `main` is here and right.
#[track_caller]
pub(crate) fn whole(what: &str, repo: &Repo, commit: &Checksum) {
    assert_eq!(repo.resolve("main").unwrap(), *commit, "{what}");
    assert!(!repo.commit_state(commit).unwrap().is_partial(), "{what}: it is marked partial");
    assert_eq!(fsck(repo), Ok(vec![]), "{what}: fsck");
}

/// The peer finds nothing wrong, and nothing that is only half there.
#[track_caller]
pub(crate) fn peer_fsck(what: &str, repo: &Repo) {
    let mut ostree = Command::new("ostree");
    ostree.arg(format!("--repo={}", repo.path().display())).arg("fsck");
    let output = ostree.output().expect("the Debian package ostree is installed");
    let (said, failed) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: the peer's fsck: {said}{failed}");
}
