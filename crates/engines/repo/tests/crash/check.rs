//! What must be true after a kill or a failure, and after the work was done again.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use updraft_fs::TempFile;
use updraft_repo::Repo;
use updraft_repo::checkout::{UnionMode, checkout};
use updraft_repo::fsck::{FsckOptions, OnCorruption, fsck};
use updraft_repo::summary;
use updraft_task::Context;

use crate::work::{ALIASES, Work};
use crate::world::World;

/// The peer looks at one in so many.
const PEER_EVERY: u32 = 8;

/// Checks what a kill left, does the work again, and checks that.
pub(crate) fn after_kill(world: &World, after: u32) -> Result<(), String> {
    sound(world)?;
    let with_peer = after.is_multiple_of(PEER_EVERY);
    if with_peer {
        peer_fsck(&world.path("repo"))?;
    }
    again(world)?;
    if with_peer { peer_fsck(&world.path("repo")) } else { Ok(()) }
}

/// Checks what a failure left, does the work again, and checks that.
pub(crate) fn after_failure(world: &World, result: &Result<(), String>) -> Result<(), String> {
    if result.as_ref().is_err_and(String::is_empty) {
        return Err("it failed without a word".to_owned());
    }
    sound(world)?;
    again(world)
}

fn again(world: &World) -> Result<(), String> {
    let repo = world.repo();
    world.work.run(&repo, &world.source()).map_err(|said| format!("again: {said}"))?;
    sound(world).map_err(|reason| format!("again: {reason}"))?;
    done(world, &repo).map_err(|reason| format!("again: {reason}"))?;
    left_behind(&repo)
}

/// Every ref names a complete commit, and everything that is there is right.
fn sound(world: &World) -> Result<(), String> {
    let repo = world.repo();
    let refs = repo.refs().map_err(|error| format!("refs: {error}"))?;
    for (name, commit) in &refs {
        let (_, state) =
            repo.load_commit(commit).map_err(|error| format!("{name} is {commit}: {error}"))?;
        if state.is_partial() {
            return Err(format!("{name} is {commit}, which is partial"));
        }
        let main = name.to_string() == "main";
        if main && ![world.old, world.new].contains(commit) {
            return Err(format!("main is {commit}"));
        }
    }
    let known = |name: &str| ["main", "ostree-metadata"].contains(&name) || ALIASES.contains(&name);
    if refs.keys().any(|name| !known(&name.to_string())) || refs.is_empty() {
        return Err(format!("the refs are {refs:?}"));
    }
    // To others whatever lies there is a ref.
    let strange = temporary_names(&repo.path().join("refs"));
    if !strange.is_empty() {
        return Err(format!("among the refs: {strange:?}"));
    }
    let options = FsckOptions { on_corruption: OnCorruption::Continue, ..FsckOptions::default() };
    let report = fsck(&Context::silent(), &repo, &options);
    let report = report.map_err(|error| format!("fsck: {error}"))?;
    if report.is_clean() { Ok(()) } else { Err(format!("fsck: {:?}", report.problems)) }
}

/// The work is done.
fn done(world: &World, repo: &Repo) -> Result<(), String> {
    let wanted = |is: bool, what: &str| if is { Ok(()) } else { Err(what.to_owned()) };
    let (commit, state) = repo.load_commit(&world.new).map_err(|error| error.to_string())?;
    wanted(!state.is_partial(), "the commit is partial")?;
    if world.work != Work::Apply {
        let main = repo.resolve("main").map_err(|error| error.to_string())?;
        wanted(main == world.new, "main is another commit")?;
    }
    match world.work {
        Work::Prune => {
            let parent = commit.parent.ok_or("it has no parent")?;
            wanted(repo.load_commit(&parent).is_err(), "the parent is there")?;
            let deltas = updraft_repo::delta::list(repo).map_err(|error| error.to_string())?;
            wanted(deltas.len() == 1, "the deltas")
        }
        Work::Generate => {
            let deltas = updraft_repo::delta::list(repo).map_err(|error| error.to_string())?;
            wanted(deltas.len() == 1, "the delta")
        }
        Work::Summary => {
            let summary = summary::read(repo).map_err(|error| error.to_string())?;
            let summary = summary.ok_or("there is no summary")?;
            wanted(summary.refs.len() == 2, "the refs of the summary")
        }
        Work::Alias => {
            let aliases = repo.aliases().map_err(|error| error.to_string())?;
            wanted(aliases.len() == ALIASES.len(), "the aliases")
        }
        Work::Checkout(_) => {
            let tree = world.path("tree");
            let out = world.path("out");
            same(&tree, &out)?;
            let left = temporary_names(&out);
            wanted(left.is_empty(), "something is left in the checkout")?;
            fs::remove_dir_all(&out).unwrap();
            let options = world.work.checkout_options(UnionMode::None);
            checkout(&Context::silent(), repo, &world.new, &out, &options)
                .map_err(|error| format!("afresh: {error}"))?;
            same(&tree, &out)
        }
        _ => Ok(()),
    }
}

/// Whether all that the tree has is in the checkout.
fn same(tree: &Path, out: &Path) -> Result<(), String> {
    for entry in fs::read_dir(tree).unwrap() {
        let (wanted, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let made = out.join(name);
        let is_same = if wanted.is_symlink() {
            fs::read_link(&made).is_ok_and(|target| target == fs::read_link(&wanted).unwrap())
        } else if wanted.is_dir() {
            same(&wanted, &made)?;
            true
        } else {
            fs::read(&made).is_ok_and(|bytes| bytes == fs::read(&wanted).unwrap())
        };
        if !is_same {
            return Err(format!("{} is another", made.display()));
        }
    }
    Ok(())
}

/// The names below the folder that are there only for a moment.
fn temporary_names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(TempFile::NAME_PREFIX) {
            found.push(name);
        } else if path.is_dir() && !path.is_symlink() {
            found.extend(temporary_names(&path));
        }
    }
    found
}

/// Nothing is left that nobody would ever remove.
fn left_behind(repo: &Repo) -> Result<(), String> {
    // Some things wait for a day, in case somebody works with them.
    let long_ago = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = Timestamps { last_access: long_ago, last_modification: long_ago };
    for entry in fs::read_dir(repo.path().join("tmp")).unwrap() {
        utimensat(CWD, entry.unwrap().path(), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
    // A process that another test just starts holds our locks for a moment, too.
    for _ in 0..100 {
        let transaction = repo.transaction(&Context::silent()).unwrap();
        transaction.commit(&Context::silent()).unwrap();
        let mut left = fs::read_dir(repo.path().join("tmp")).unwrap().flatten();
        if left.all(|entry| !entry.file_name().to_string_lossy().starts_with("staging-")) {
            break;
        }
    }
    let mut waiting = vec![repo.path().to_owned()];
    let mut left = Vec::new();
    while let Some(folder) = waiting.pop() {
        let inside = folder.strip_prefix(repo.path()).unwrap().to_str().unwrap().to_owned();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_kept = !name.starts_with(".updraft-tmp") && inside != "state";
            if !is_kept || (inside == "tmp" && name != "cache") {
                left.push(format!("{inside}/{name}"));
            } else if path.is_dir() && !path.is_symlink() {
                waiting.push(path);
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
}

fn peer_fsck(repo: &Path) -> Result<(), String> {
    let mut ostree = Command::new("ostree");
    let output = ostree.arg(format!("--repo={}", repo.display())).arg("fsck").output();
    let output = output.expect("the Debian package ostree is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("the peer's fsck: {said}")) }
}
