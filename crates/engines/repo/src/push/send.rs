//! The workers of a push.

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use updraft_http::{Body, Client, Method, Request};
use updraft_ostree::{Checksum, ObjectName, ObjectType, RepoMode};
use updraft_task::{Context, Event, Unit};

use super::plan::{Children, Plan, Task};
use super::{Effect, Error, Look, PushOptions, PushStats};
use crate::Repo;

const PHASE: &str = "sending objects";
const JOBS: usize = 8;
/// No push has more workers.
const MAX_JOBS: usize = 64;
/// An object that is compressed while it is sent has no known length: up to this size it is kept
/// in memory, beyond it a file holds it.
const IN_MEMORY: u64 = 1 << 20;

/// Sends all objects of the commit that the server does not have.
pub(super) fn send_all(
    ctx: &Context,
    repo: &Repo,
    client: &Client,
    base_url: &str,
    commit: &Checksum,
    options: PushOptions,
) -> Result<PushStats, Error> {
    let state = State {
        plan: Plan::new(*commit),
        stats: PushStats::default(),
        there: HashSet::new(),
        failed: None,
    };
    let (state, wake) = (Mutex::new(state), Condvar::new());
    let work = Work { ctx, repo, client, base_url, options, state, wake };
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    let jobs = if options.jobs == 0 { JOBS } else { options.jobs };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(MAX_JOBS) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    ctx.report(&Event::Finished { phase: PHASE });
    let state = work.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(error) => Err(error),
        None => Ok(state.stats),
    }
}

/// Sends what is kept beside the commit, such as its signatures, when there is any.
pub(super) fn send_detached(
    ctx: &Context,
    repo: &Repo,
    client: &Client,
    base_url: &str,
    commit: &Checksum,
) -> Result<(), Error> {
    let object = ObjectName::new(*commit, ObjectType::CommitMeta);
    if !repo.has_object(&object)? {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let io = |error| crate::Error::io(format!("read object {object}"), error);
    repo.open_archive_form(&object)?.read_to_end(&mut bytes).map_err(io)?;
    let url = format!("{base_url}/objects/{}", object.loose_path(RepoMode::Archive));
    let request = Request::new(Method::Post, url)
        .header("Content-Type", "application/octet-stream")
        .body(bytes)
        .repeatable();
    let answer = client.send_with(ctx, &request).map_err(Error::object(&object))?;
    if answer.status != 409 {
        answer.error_for_status().map_err(Error::object(&object))?;
    }
    Ok(())
}

struct State {
    plan: Plan,
    stats: PushStats,
    /// Objects that the server has, below which to look all the same.
    there: HashSet<ObjectName>,
    failed: Option<Error>,
}

struct Work<'a> {
    ctx: &'a Context,
    repo: &'a Repo,
    client: &'a Client,
    base_url: &'a str,
    options: PushOptions,
    state: Mutex<State>,
    wake: Condvar,
}

/// What became of a task.
enum Done {
    Present,
    Absent(Children),
    /// It is there, and so perhaps not all below it.
    LookBelow(Children),
    Sent(u64),
}

impl Work<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(task) = self.next() {
            let done = self.ctx.check().map_err(Error::from).and_then(|()| self.perform(task));
            match done {
                Ok(done) => self.report(task, &done),
                Err(error) => drop(self.state().failed.get_or_insert(error)),
            }
            self.wake.notify_all();
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(task) = state.plan.next_task() {
                return Some(task);
            }
            if state.plan.is_done() {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn report(&self, task: Task, done: &Done) {
        let mut state = self.state();
        match (task, done) {
            (Task::Ask(object), Done::Absent(children)) => state.plan.absent(&object, children),
            (Task::Ask(object), Done::LookBelow(children)) => {
                state.there.insert(object);
                state.plan.absent(&object, children);
            }
            (Task::Ask(object), _) => {
                state.plan.present(&object);
                state.stats.objects_present += 1;
            }
            (Task::Send(object), Done::Present) => {
                state.plan.sent(&object);
                state.stats.objects_present += 1;
            }
            (Task::Send(object), done) => {
                state.plan.sent(&object);
                state.stats.objects_sent += 1;
                if let Done::Sent(bytes) = done {
                    state.stats.bytes_sent += bytes;
                }
            }
        }
        let done = state.stats.objects_sent + state.stats.objects_present;
        let total = Some(state.plan.known() as u64);
        self.ctx.report(&Event::Advanced { phase: PHASE, done, total });
    }

    fn perform(&self, task: Task) -> Result<Done, Error> {
        match task {
            Task::Ask(object) => self.ask(&object),
            Task::Send(object) if self.state().there.contains(&object) => Ok(Done::Present),
            Task::Send(_) if self.options.effect == Effect::None => Ok(Done::Sent(0)),
            Task::Send(object) => self.send(&object).map(Done::Sent),
        }
    }

    fn url(&self, object: &ObjectName) -> String {
        format!("{}/objects/{}", self.base_url, object.loose_path(RepoMode::Archive))
    }

    fn ask(&self, object: &ObjectName) -> Result<Done, Error> {
        let request = Request::new(Method::Head, self.url(object));
        let answer = self.client.send_with(self.ctx, &request).map_err(Error::object(object))?;
        if answer.status == 404 || answer.status == 410 {
            return Ok(Done::Absent(self.children(object)?));
        }
        answer.error_for_status().map_err(Error::object(object))?;
        match self.options.look {
            Look::BelowAbsent => Ok(Done::Present),
            Look::Everywhere => Ok(Done::LookBelow(self.children(object)?)),
        }
    }

    fn children(&self, object: &ObjectName) -> Result<Children, Error> {
        Ok(match object.object_type {
            ObjectType::Commit => {
                Children::Commit(Box::new(self.repo.load_commit(&object.checksum)?.0))
            }
            ObjectType::DirTree => Children::DirTree(self.repo.load_dirtree(&object.checksum)?),
            _ => Children::None,
        })
    }

    /// Sends one object; says how many bytes it had.
    fn send(&self, object: &ObjectName) -> Result<u64, Error> {
        let body = self.body(object)?;
        let length = match &body {
            Body::Empty => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Reader { length, .. } => *length,
        };
        // Sending an object twice does no harm: it is the same object.
        let request = Request::new(Method::Post, self.url(object))
            .header("Content-Type", "application/octet-stream")
            .body(body)
            .repeatable();
        let answer = self.client.send_with(self.ctx, &request);
        answer
            .and_then(|answer| match answer.status {
                // Somebody else sent it meanwhile.
                409 => Ok(answer),
                _ => answer.error_for_status(),
            })
            .map_err(Error::object(object))?;
        Ok(length)
    }

    /// The object in archive form.
    fn body(&self, object: &ObjectName) -> Result<Body, Error> {
        let as_stored = object.object_type.is_metadata() || self.repo.mode() == RepoMode::Archive;
        let (repo, object) = (self.repo.clone(), *object);
        if as_stored {
            let length = repo.stored_size(&object)?;
            let open = move || repo.open_archive_form(&object).map_err(std::io::Error::other);
            return Ok(Body::Reader { length, open: Arc::new(open) });
        }
        let io = |error| crate::Error::io(format!("compress object {object}"), error);
        let mut stream = repo.open_archive_form(&object)?;
        let mut start = Vec::new();
        stream.by_ref().take(IN_MEMORY).read_to_end(&mut start).map_err(io)?;
        if (start.len() as u64) < IN_MEMORY {
            return Ok(Body::Bytes(start));
        }
        let mut file =
            updraft_fs::TempFile::new_in(&repo.tmp_dir()?).map_err(crate::Error::from)?;
        std::io::Write::write_all(&mut file, &start).map_err(io)?;
        let rest = std::io::copy(&mut stream, &mut file).map_err(io)?;
        let length = rest + start.len() as u64;
        let file = Arc::new(file);
        let open = move || {
            let reader = At { file: Arc::clone(&file), position: 0 };
            Ok(Box::new(reader) as Box<dyn Read + Send>)
        };
        Ok(Body::Reader { length, open: Arc::new(open) })
    }
}

/// Reads a shared file from a position of its own.
struct At {
    file: Arc<updraft_fs::TempFile>,
    position: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = rustix::io::pread(self.file.file(), buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
