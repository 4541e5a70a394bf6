//! [`Command`]: what to run, and running it.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, PipeReader, Write};
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal};
use updraft_task::Context;

use crate::capture::Collector;
use crate::{Captured, Error, Result};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
const DEFAULT_OUTPUT_LIMIT: usize = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// After SIGTERM a program may tidy up for this long before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Output of children that outlive the program is waited for this long.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// How much of stderr an error shows.
const SHOWN_OUTPUT: usize = 2000;

/// The longest line that a program may tell, in bytes; the rest of a longer one is left out.
const MAX_LINE: usize = 4096;

/// Takes the lines that a program tells.
type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// A program with its arguments and bounds. No shell is involved.
#[derive(Clone)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    input: Vec<u8>,
    timeout: Duration,
    output_limit: usize,
    listener: Option<(RawFd, Listener)>,
}

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed to stdout.
    pub stdout: Captured,
    /// What it printed to stderr.
    pub stderr: Captured,
    /// How long it ran.
    pub duration: Duration,
}

impl Command {
    /// `program`, looked for in `PATH` when it has no slash; it may run for 10 minutes.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            listener: None,
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With this variable in its environment, which is ours otherwise.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// Without this variable in its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// In this working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// With these bytes on stdin, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// At most this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Keeping at most this many bytes of each output.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Giving it a pipe as the descriptor `number`, 3 or higher, and `listener` each line that it
    /// writes there. `listener` is called from another thread.
    #[must_use]
    pub fn listen(
        mut self,
        number: RawFd,
        listener: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some((number, Arc::new(listener)));
        self
    }

    /// The program as errors name it.
    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Runs it; an exit code other than 0 is an error.
    pub fn run(&self, ctx: &Context) -> Result<Finished> {
        let finished = self.output(ctx)?;
        if finished.status.success() {
            return Ok(finished);
        }
        let how = match (finished.status.code(), finished.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        };
        Err(Error::Failed { program: self.name(), how, output: tail(&finished.stderr) })
    }

    /// Runs it and says how it ended, whatever the exit code. While the work is held up, the program
    /// is stopped (SIGSTOP) and its time does not run.
    pub fn output(&self, ctx: &Context) -> Result<Finished> {
        ctx.check()?;
        tracing::debug!(program = ?self.program, arguments = ?self.arguments, "running a program");
        let started = Instant::now();
        let mut running = Running::start(self)?;
        let status = running.wait(ctx, self, started)?;
        let duration = started.elapsed();
        tracing::debug!(program = ?self.program, %status, ?duration, "a program ended");
        let (stdout, stderr) = running.into_output();
        Ok(Finished { status, stdout, stderr, duration })
    }

    fn prepare(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        for (name, value) in &self.environment {
            let name: &OsStr = name;
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir::<&Path>(directory);
        }
        command
    }
}

/// A started program with the threads that serve its pipes. Dropping it kills the group.
struct Running {
    child: Child,
    group: Option<Pid>,
    stdout: Option<Collector>,
    stderr: Option<Collector>,
}

impl Running {
    fn start(command: &Command) -> Result<Self> {
        let fail = |source| Error::Start { program: command.name(), source };
        let mut prepared = command.prepare();
        let lines = match &command.listener {
            None => None,
            Some((number, listener)) => {
                let (lines, end) = std::io::pipe().map_err(fail)?;
                let mapping = FdMapping { parent_fd: end.into(), child_fd: *number };
                prepared
                    .fd_mappings(vec![mapping])
                    .map_err(|error| fail(io::Error::other(error)))?;
                Some((lines, listener.clone()))
            }
        };
        let mut child = prepared.spawn().map_err(fail)?;
        // It keeps the end of the pipe that the program has, and only the program shall.
        drop(prepared);
        if let Some((lines, listener)) = lines {
            std::thread::spawn(move || tell(lines, &*listener));
        }
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(mut stdin) = child.stdin.take() {
            let input = command.input.clone();
            // A program that ends without reading all of its input breaks the pipe: its right.
            std::thread::spawn(move || stdin.write_all(&input));
        }
        let limit = command.output_limit;
        let stdout = child.stdout.take().map(|pipe| Collector::start(pipe, limit));
        let stderr = child.stderr.take().map(|pipe| Collector::start(pipe, limit));
        Ok(Self { child, group, stdout, stderr })
    }

    fn wait(&mut self, ctx: &Context, command: &Command, started: Instant) -> Result<ExitStatus> {
        let mut pause = FIRST_PAUSE;
        let (mut held, mut waited_for) = (None::<Instant>, Duration::ZERO);
        loop {
            let waited = self
                .child
                .try_wait()
                .map_err(|source| Error::Wait { program: command.name(), source })?;
            if let Some(status) = waited {
                return Ok(status);
            }
            match ctx.is_open() {
                Ok(true) if held.is_some() => {
                    self.signal(Signal::CONT);
                    waited_for += held.take().map_or(Duration::ZERO, |since| since.elapsed());
                }
                Ok(true) => {}
                Ok(false) => {
                    if held.is_none() {
                        self.signal(Signal::STOP);
                        held = Some(Instant::now());
                    }
                    std::thread::sleep(LONGEST_PAUSE);
                    continue;
                }
                Err(cancelled) => {
                    self.end();
                    return Err(cancelled.into());
                }
            }
            let elapsed = started.elapsed().saturating_sub(waited_for);
            if elapsed >= command.timeout {
                self.end();
                return Err(Error::TimedOut { program: command.name(), limit: command.timeout });
            }
            std::thread::sleep(pause.min(command.timeout.saturating_sub(elapsed)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks the group to end, then makes it.
    fn end(&mut self) {
        self.signal(Signal::TERM);
        // One that is stopped would not hear it.
        self.signal(Signal::CONT);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(FIRST_PAUSE);
        }
        self.signal(Signal::KILL);
        // Reaps it; it is dead or dying.
        let _ = self.child.wait();
        self.group = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The group may have ended by itself.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// What was printed. Children that hold the pipes open are not waited for long.
    fn into_output(mut self) -> (Captured, Captured) {
        let asked = Instant::now();
        let open = |collector: &Option<Collector>| {
            collector.as_ref().is_some_and(|collector| !collector.is_finished())
        };
        while (open(&self.stdout) || open(&self.stderr)) && asked.elapsed() < LAST_OUTPUT {
            std::thread::sleep(FIRST_PAUSE);
        }
        self.group = None;
        let take =
            |collector: Option<Collector>| collector.map(Collector::take).unwrap_or_default();
        (take(self.stdout.take()), take(self.stderr.take()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.group.is_some() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Gives each line to the listener, until nobody can write another.
fn tell(pipe: PipeReader, listener: &(dyn Fn(&str) + Send + Sync)) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        let Ok(bytes) = pipe.fill_buf() else { return };
        if bytes.is_empty() {
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        let taken = part.len() + usize::from(end.is_some());
        pipe.consume(taken);
        if end.is_some() {
            listener(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Command");
        shown.field("program", &self.program).field("arguments", &self.arguments);
        shown.finish_non_exhaustive()
    }
}

/// The end of an output, for people.
fn tail(output: &Captured) -> String {
    let text = output.text();
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(SHOWN_OUTPUT);
    text.chars().skip(skipped).collect()
}
