//! What a whole process used, as the kernel counted it.
#![allow(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// What one run of a process used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of CPU in user mode.
    pub user: f64,
    /// Seconds of CPU in the kernel.
    pub system: f64,
    /// Seconds from start to end.
    pub wall: f64,
    /// The most memory it had at once, in MB.
    pub memory: f64,
    /// Bytes of what it made; 0 where that does not matter.
    pub made: f64,
}

impl Usage {
    /// Seconds of CPU.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }

    /// The median of each value by itself.
    #[must_use]
    pub fn median(runs: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Self {
            user: of(|run| run.user),
            system: of(|run| run.system),
            wall: of(|run| run.wall),
            memory: of(|run| run.memory),
            made: of(|run| run.made),
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or fails; shows what it printed.
pub fn run(command: Command) -> Result<Usage> {
    let name = format!("{command:?}");
    let (status, usage, printed) = run_to_the_end(command)?;
    if !status.success() {
        bail!("{name} ended with {status}: {printed}");
    }
    Ok(usage)
}

/// The same for a command with a limit of processor time (`RLIMIT_CPU`, getrlimit(2)): whether it came
/// to its end, and what it used.
///
/// # Errors
/// As [`run`].
pub fn run_within_its_limit(command: Command) -> Result<(bool, Usage)> {
    let name = format!("{command:?}");
    let (status, usage, printed) = run_to_the_end(command)?;
    // A shell tells the signal that ended one of its programs in its own status.
    let is_over =
        status.signal() == Some(libc::SIGXCPU) || status.code() == Some(128 + libc::SIGXCPU);
    if !status.success() && !is_over {
        bail!("{name} ended with {status}: {printed}");
    }
    Ok((!is_over, usage))
}

fn run_to_the_end(mut command: Command) -> Result<(ExitStatus, Usage, String)> {
    let errors = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone()?);
    let started = Instant::now();
    let child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let (status, usage) = wait(&child)?;
    let wall = started.elapsed().as_secs_f64();
    // Linux counts ru_maxrss in KiB.
    #[allow(clippy::cast_precision_loss)]
    let memory = usage.ru_maxrss as f64 / 1024.0;
    let usage = Usage {
        user: seconds(usage.ru_utime),
        system: seconds(usage.ru_stime),
        wall,
        memory,
        made: 0.0,
    };
    Ok((status, usage, printed(errors)))
}

fn wait(child: &std::process::Child) -> Result<(ExitStatus, libc::rusage)> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is a plain C structure for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call; the child is ours and nobody
    // else waits for it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("wait for the program");
    }
    Ok((ExitStatus::from_raw(status), usage))
}

fn seconds(time: libc::timeval) -> f64 {
    let micros = u64::try_from(time.tv_usec).unwrap_or_default();
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    (Duration::from_secs(seconds) + Duration::from_micros(micros)).as_secs_f64()
}

fn printed(mut file: std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    // What cannot be read back is not shown.
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    text.trim().to_owned()
}
