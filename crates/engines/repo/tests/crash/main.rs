//! Whatever writes to a repository, or makes files of one, is killed before each of its write
//! operations. Afterwards every ref names a complete commit, fsck finds nothing, and the same work
//! done again succeeds and leaves nothing behind. The same with a disk that is full from some
//! operation on.
//!
//! Needs Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod check;
mod child;
mod work;
mod world;

use updraft_fs::fault::{Fault, Injection};
use work::Work;
use world::World;

/// So many operations are each killed at; of more only some.
const ALL_OF: u32 = 150;
/// And then one of so many.
const SOME: u32 = 7;
/// Failures are less of a shock: one operation of so many.
const FAIL_EVERY: usize = 3;
/// Threads do not always do the same in the same order: so many times in a row it gets through.
const THROUGH: u32 = 3;

/// Kills `work` before its first, second, … write operation, until it gets through.
fn killed_everywhere(work: Work) {
    let world = World::new(work);
    let (mut after, mut through, mut failures) = (0, 0, Vec::new());
    while through < THROUGH {
        world.restore();
        if child::run(&world, after) == child::End::Done {
            through += 1;
        } else if let Err(reason) = check::after_kill(&world, after) {
            failures.push(format!("{work:?}, before operation {after}: {reason}"));
        }
        after += if after < ALL_OF { work.step() } else { SOME };
    }
    assert!(after > 10 && failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

/// Lets every write operation after the first, second, … fail as on a full or broken disk.
fn failing_everywhere(work: Work) {
    let world = World::new(work);
    let mut faults = [Fault::Full, Fault::Broken].into_iter().cycle();
    for (after, fault) in (0..).step_by(FAIL_EVERY).zip(&mut faults) {
        world.restore();
        let injection = Injection::after(after, fault);
        let result = work.run(&world.repo(), &world.source());
        let struck = injection.has_struck();
        drop(injection);
        if let Err(reason) = check::after_failure(&world, &result) {
            panic!("{work:?}, {fault:?} after operation {after}: {reason}");
        }
        if !struck {
            assert!(result.is_ok() && after > 3, "{result:?}");
            return;
        }
    }
}

macro_rules! tests {
    ($($name:ident, $full:ident: $work:expr;)*) => {$(
        #[test]
        fn $name() {
            killed_everywhere($work);
        }

        #[test]
        fn $full() {
            failing_everywhere($work);
        }
    )*};
}

tests! {
    killed_commit, failed_commit: Work::Commit("bare");
    killed_commit_to_archive, failed_commit_to_archive: Work::Commit("archive");
    killed_local_pull, failed_local_pull: Work::PullLocal("bare-user");
    killed_linking_pull, failed_linking_pull: Work::PullLocal("archive");
    killed_http_pull, failed_http_pull: Work::PullHttp("bare");
    killed_mirror, failed_mirror: Work::PullHttp("archive");
    killed_pull_by_delta, failed_pull_by_delta: Work::PullDelta;
    killed_apply, failed_apply: Work::Apply;
    killed_delta, failed_delta: Work::Generate;
    killed_prune, failed_prune: Work::Prune;
    killed_summary, failed_summary: Work::Summary;
    killed_alias, failed_alias: Work::Alias;
    killed_linking_checkout, failed_linking_checkout: Work::Checkout("bare");
    killed_user_checkout, failed_user_checkout: Work::Checkout("bare-user");
    killed_unpacking_checkout, failed_unpacking_checkout: Work::Checkout("archive");
}
