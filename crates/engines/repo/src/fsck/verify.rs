//! Reading and hashing objects, by several workers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use updraft_error::{Classify, Kind};
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_task::{Context, Event, Unit};

use super::{Fault, FsckOptions, OnCorruption, Problem};
use crate::{Error, Repo, Result};

const PHASE: &str = "checking objects";
/// No check has more workers.
const MAX_JOBS: usize = 64;
/// Progress is reported once for this many objects.
const REPORT_EVERY: usize = 64;

/// Checks all objects; with `Stop`, up to the first corrupt one.
pub(super) fn verify(
    ctx: &Context,
    repo: &Repo,
    objects: &[ObjectName],
    options: &FsckOptions,
) -> Result<Vec<Problem>> {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = if options.jobs == 0 { processors() } else { options.jobs };
    let total = Some(objects.len() as u64);
    ctx.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
    let shared = Shared {
        ctx,
        repo,
        objects,
        options,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        problems: Mutex::default(),
        failed: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(MAX_JOBS) {
            scope.spawn(|| shared.run());
        }
        shared.run();
    });
    ctx.report(&Event::Finished { phase: PHASE });
    if let Some(error) = shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    Ok(shared.problems.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Checks what is kept beside these commits, which no name says the bytes of.
pub(super) fn beside(ctx: &Context, repo: &Repo, commits: &[Checksum]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for commit in commits {
        ctx.check()?;
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        match repo.verify_object(&object) {
            Ok(()) | Err(Error::NoSuchObject(_)) => {}
            Err(error) if error.is_corruption() => {
                let problem = Problem::new(object, Fault::Unreadable(chain(&error)));
                problems.push(Problem { commits: vec![*commit], ..problem });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

struct Shared<'a> {
    ctx: &'a Context,
    repo: &'a Repo,
    objects: &'a [ObjectName],
    options: &'a FsckOptions,
    next: AtomicUsize,
    stop: AtomicBool,
    problems: Mutex<Vec<Problem>>,
    failed: Mutex<Option<Error>>,
}

impl Shared<'_> {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(object) = self.objects.get(index) else { return };
            let checked = self.ctx.check().map_err(Error::from).and_then(|()| self.check(object));
            if let Err(error) = checked {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
            let done = index + 1;
            if done.is_multiple_of(REPORT_EVERY) || done == self.objects.len() {
                let (done, total) = (done as u64, Some(self.objects.len() as u64));
                self.ctx.report(&Event::Advanced { phase: PHASE, done, total });
            }
        }
    }

    fn check(&self, object: &ObjectName) -> Result<()> {
        let fault = match self.repo.verify_object(object) {
            Ok(()) => return Ok(()),
            Err(Error::NoSuchObject(_)) => Fault::Missing,
            Err(Error::Corrupt { actual, .. }) => Fault::Corrupt { actual },
            // The problem names the object already.
            Err(Error::InvalidObject { source, .. }) => Fault::Unreadable(source.to_string()),
            Err(error) if error.is_corruption() || error.kind() == Kind::Invalid => {
                Fault::Unreadable(chain(&error))
            }
            Err(error) => return Err(error),
        };
        if fault != Fault::Missing && self.options.on_corruption == OnCorruption::Stop {
            self.stop.store(true, Ordering::Relaxed);
        }
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.push(Problem::new(*object, fault));
        Ok(())
    }
}

fn chain(error: &Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
