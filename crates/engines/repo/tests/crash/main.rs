//! Whatever writes to a repository is killed before each of its write operations. Afterwards every
//! ref names a complete commit, fsck finds nothing, and the same work done again succeeds and
//! leaves nothing behind. The same with a disk that is full from some operation on.
//!
//! Needs Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod check;
mod child;
mod work;
mod world;

use work::Work;
use world::World;

/// More kills than this are spread over the operations.
const MAX_KILLS: u32 = 240;

/// Kills `work` before its first, second, … write operation, until it gets through.
fn killed_everywhere(work: Work) {
    let world = World::new(work);
    let total = world.count();
    let step = (total / MAX_KILLS).max(1);
    let mut failures = Vec::new();
    for after in (0..total).step_by(step as usize) {
        world.restore();
        if child::run(&world, Some(after)) == child::End::Done {
            // Threads do not always do the same in the same order.
            continue;
        }
        if let Err(reason) = check::after_kill(&world, after) {
            failures.push(format!("{work:?}, before operation {after} of {total}: {reason}"));
        }
    }
    println!("{work:?}: {total} operations");
    assert!(total > 3 && failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

/// Lets every write operation after the first, second, … fail as on a full or broken disk.
fn failing_everywhere(work: Work) {
    use updraft_fs::fault::{Fault, Injection};
    let world = World::new(work);
    for fault in [Fault::Full, Fault::Broken] {
        for after in 0..u64::from(world.count()) {
            world.restore();
            let injection = Injection::after(after, fault);
            let result = work.run(&world.repo(), &world.source());
            let struck = injection.has_struck();
            drop(injection);
            if let Err(reason) = check::after_failure(&world, &result, after) {
                panic!("{work:?}, {fault:?} after operation {after}: {reason}");
            }
            if !struck {
                break;
            }
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
}
