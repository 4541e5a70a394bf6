//! The process that is killed: this very program again.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use updraft_fs::fault;
use updraft_repo::Repo;

use crate::work::ALL;
use crate::world::World;

const WORK: &str = "UPDRAFT_TEST_CRASH_WORK";
const REPO: &str = "UPDRAFT_TEST_CRASH_REPO";
const SOURCE: &str = "UPDRAFT_TEST_CRASH_SOURCE";
const AFTER: &str = "UPDRAFT_TEST_CRASH_AFTER";

/// What the child process runs; nothing when nobody says what.
#[test]
fn process() {
    let Ok(work) = std::env::var(WORK) else { return };
    let work = ALL[work.parse::<usize>().unwrap()];
    let repo = Repo::open(std::env::var(REPO).unwrap()).unwrap();
    let source = std::env::var(SOURCE).unwrap();
    fault::kill_process_after(std::env::var(AFTER).unwrap().parse().unwrap());
    work.run(&repo, &source).unwrap();
}

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    Done,
}

/// Runs the work in a child that is killed after so many operations.
pub(crate) fn run(world: &World, after: u32) -> End {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "child::process", "--nocapture"])
        .env(WORK, world.work.number().to_string())
        .env(REPO, world.path("repo"))
        .env(SOURCE, world.source())
        .env(AFTER, after.to_string())
        .stdin(Stdio::null());
    let output = child.output().unwrap();
    if output.status.signal() == Some(9) {
        return End::Killed;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {} {said}", world.work, output.status);
    End::Done
}
