//! How long a machine is waited for on a host that has other work, too.
//!
//! An emulated machine that stands in line for a processor gets nowhere, and is not to blame for it.
//! So of such a time only what it was given counts; while it waits for something itself, all counts.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// A deadline that is looked at again and again.
#[derive(Debug)]
pub(crate) struct Patience {
    process: Pid,
    left: Duration,
    looked: Instant,
    worked: Duration,
}

impl Patience {
    pub(crate) fn with(process: Pid, timeout: Duration) -> Self {
        let (worked, _) = work(process);
        Self { process, left: timeout, looked: Instant::now(), worked }
    }

    /// Whether the time is over. To be asked several times a second: what the process wants is seen at
    /// these moments only.
    pub(crate) fn is_over(&mut self) -> bool {
        let elapsed = self.looked.elapsed();
        self.looked = Instant::now();
        let (worked, stands_ready) = work(self.process);
        let given = worked.saturating_sub(self.worked);
        self.worked = worked;
        let counts = if stands_ready { given.min(elapsed) } else { elapsed };
        self.left = self.left.saturating_sub(counts);
        self.left.is_zero()
    }
}

/// The processor time of all threads of a process, and whether one of them runs or could run. Of a
/// process that has ended: nothing.
fn work(process: Pid) -> (Duration, bool) {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
    let mut ticks = 0;
    let mut stands_ready = false;
    for task in tasks.into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // proc_pid_stat(5): the name in parentheses may hold anything.
        let Some((_, fields)) = text.rsplit_once(')') else { continue };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        stands_ready |= fields.first() == Some(&"R");
        for field in [STAT_UTIME, STAT_STIME] {
            ticks += fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    (Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second()), stands_ready)
}

/// Fields 14 and 15, of which the first is behind the name.
const STAT_UTIME: usize = 11;
const STAT_STIME: usize = 12;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

    use std::process::{Command, Stdio};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(600);

    /// How long a program of the shell is waited for, and what processor time it was given meanwhile.
    fn waited(script: &str) -> (Duration, Duration) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let process = Pid::from_child(&child);
        let begun = Instant::now();
        let mut patience = Patience::with(process, TIMEOUT);
        while !patience.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = (begun.elapsed(), work(process).0);
        child.kill().unwrap();
        child.wait().unwrap();
        ended
    }

    #[test]
    fn all_the_time_counts_in_which_a_process_waits() {
        let (elapsed, _) = waited("exec sleep 1000");
        assert!(elapsed >= TIMEOUT, "{elapsed:?}");
    }

    #[test]
    fn what_a_process_was_given_counts_while_it_works() {
        let (elapsed, given) = waited("while :; do :; done");
        assert!(elapsed >= TIMEOUT, "{elapsed:?}");
        // Its start may have found it elsewhere.
        assert!(given >= TIMEOUT / 2, "{given:?} of {elapsed:?}");
    }

    #[test]
    fn a_process_that_has_ended_is_not_waited_for_longer() {
        let mut child = Command::new("true").spawn().unwrap();
        let process = Pid::from_child(&child);
        child.wait().unwrap();
        let mut patience = Patience::with(process, Duration::from_millis(30));
        std::thread::sleep(Duration::from_millis(40));
        assert!(patience.is_over());
    }
}
