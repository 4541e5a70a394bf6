//! The programs that a payload brings to be run before its slot is switched to, and the one of the
//! device that removes the user's data.
//!
//! A program is run as Android's `update_engine` runs it: `PATH SLOT 3`, with the new partition mounted
//! read-only, SLOT 0 or 1, and on descriptor 3 it may tell how far it is: `global_progress 0.5`.

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use updraft_fs::{loops, mount};
use updraft_payload::{Manifest, Partition};
use updraft_process::Command;
use updraft_task::Context;

use super::progress::Overall;
use super::{Engine, Headers, State};
use crate::boot_control::Slot;
use crate::config::Postinstall;
use crate::{Error, Result};

/// Where a payload's program is when it does not say.
const DEFAULT_PATH: &str = "postinst";
/// Compiling all applications of a device takes its time.
const TIMEOUT: Duration = Duration::from_hours(2);
const MOUNT_POINT: &str = "postinstall";
const FILE_SYSTEMS: &str = "/proc/filesystems";

/// A program of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    partition: String,
    /// Relative to the root of the partition.
    path: String,
    /// Of the partition; empty if the payload does not say.
    file_system: String,
    /// Whether its failure is of no consequence.
    is_optional: bool,
}

impl Program {
    /// Those that are run. The message says why one cannot be.
    pub(super) fn all(
        manifest: &Manifest,
        policy: Postinstall,
        headers: &Headers,
    ) -> Vec<Result<Self, String>> {
        let has = |partition: &&Partition| partition.about.run_postinstall == Some(true);
        let those = manifest.partitions.iter().filter(has);
        match policy {
            _ if !headers.run_postinstall => Vec::new(),
            Postinstall::Skip => Vec::new(),
            Postinstall::Refuse => those
                .filter(|partition| partition.about.postinstall_optional != Some(true))
                .map(|partition| {
                    let name = &partition.name;
                    Err(format!("partition {name} has a program to run before the switch"))
                })
                .collect(),
            Postinstall::Run => those.map(Self::of).collect(),
        }
    }

    fn of(partition: &Partition) -> Result<Self, String> {
        let (name, about) = (&partition.name, &partition.about);
        let path = about.postinstall_path.as_deref().filter(|path| !path.is_empty());
        let path = path.unwrap_or(DEFAULT_PATH);
        let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(path).components().all(is_plain) || path.contains('\0') {
            return Err(format!(
                "the program of partition {name} is {path:?}, which is not a path inside of it"
            ));
        }
        Ok(Self {
            partition: name.clone(),
            path: path.to_owned(),
            file_system: about.filesystem_type.clone().unwrap_or_default(),
            is_optional: about.postinstall_optional == Some(true),
        })
    }

    fn failed(&self, code: u32, problem: impl Into<String>) -> Error {
        let program = format!("{} of partition {}", self.path, self.partition);
        Error::Program { program, problem: problem.into(), code }
    }
}

impl Engine {
    /// Runs them, one after the other. One that may fail and does is only noted.
    pub(super) fn run_programs(
        &self,
        context: &Context,
        overall: &Arc<Overall>,
        programs: &[Program],
        target: Slot,
    ) -> Result<()> {
        let total = u64::try_from(programs.len()).unwrap_or(u64::MAX);
        for (done, program) in (0..).zip(programs) {
            overall.finalizing(done * 1000, total);
            let shown = format!("{} of partition {}", program.path, program.partition);
            self.note("postinstall", format_args!("runs {shown}"));
            match self.run_program(context, overall, program, (done, total), target) {
                Err(error @ Error::Program { .. }) if program.is_optional => {
                    self.note("postinstall", format_args!("{error}, which it may"));
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn run_program(
        &self,
        context: &Context,
        overall: &Arc<Overall>,
        program: &Program,
        (before, total): (u64, u64),
        target: Slot,
    ) -> Result<()> {
        let device = self
            .config
            .partition(&program.partition, target)
            .ok_or_else(|| program.failed(7, "no slot has this partition"))?;
        let root = self.config.state.join(MOUNT_POINT);
        updraft_fs::Dir::create_all(&root, 0o700)?;
        let heard = Arc::clone(overall);
        let command = Command::new(root.join(&program.path))
            .args([if target == Slot::A { "0" } else { "1" }, "3"])
            .directory("/")
            .timeout(TIMEOUT)
            .listen(3, move |line| {
                if let Some(permille) = permille(line) {
                    heard.finalizing(before * 1000 + permille, total);
                }
            });
        // Mounted in a namespace of this thread: however it ends, also by a kill, nothing stays mounted.
        let done = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                mount_alone(&device, &root, &program.file_system)
                    .map_err(|problem| program.failed(63, problem))?;
                command.output(context).map_err(|error| match error {
                    updraft_process::Error::Cancelled(cancelled) => cancelled.into(),
                    error => program.failed(5, super::preflight::chain(&error)),
                })
            });
            thread.join().unwrap_or_else(|_| Err(program.failed(1, "its thread failed")))
        })?;
        if done.status.success() {
            return Ok(());
        }
        // Those two numbers are ChromeOS's, and kept by Android.
        let (code, meaning) = match done.status.code() {
            Some(3) => (19, ": the device has to be restarted first"),
            Some(4) => (43, ": the firmware cannot be updated"),
            _ => (5, ""),
        };
        let said = done.stderr.text();
        let last = said.lines().next_back().unwrap_or_default();
        let separator = if last.is_empty() { "" } else { ": " };
        let status = done.status;
        Err(program.failed(code, format!("it ended with {status}{meaning}{separator}{last}")))
    }

    /// Sees to it that the first start of the target removes the user's data.
    pub(super) fn schedule_powerwash(&self, state: &State, target: Slot) -> Result<()> {
        self.powerwash(state, "schedule", target)
    }

    /// Sees to it that it does not, when the target is not to be started.
    pub(super) fn cancel_powerwash(&self, state: &State) -> Result<()> {
        let target = state.update.as_ref().and_then(super::Update::target);
        target.map_or(Ok(()), |target| self.powerwash(state, "cancel", target))
    }

    fn powerwash(&self, state: &State, what: &str, target: Slot) -> Result<()> {
        if !state.update.as_ref().is_some_and(|update| update.powerwash) {
            return Ok(());
        }
        let failed = |problem| Error::Program {
            program: format!("powerwash {what} {target}"),
            problem,
            code: 41,
        };
        let program = self.config.powerwash.as_ref();
        let program = program.ok_or_else(|| failed("slots.toml names it no more".to_owned()))?;
        let command = Command::new(program).args([what, &target.letter().to_string()]);
        command.run(&Context::silent()).map_err(|error| failed(super::preflight::chain(&error)))?;
        self.note("powerwash", format_args!("{what} for slot {target}"));
        Ok(())
    }
}

/// Mounts a partition where only this thread and what it starts see it. The message says what went
/// wrong.
fn mount_alone(device: &Path, root: &Path, file_system: &str) -> Result<(), String> {
    let told = |error: updraft_fs::Error| super::preflight::chain(&error);
    mount::unshare_namespace().map_err(told)?;
    mount::make_private("/").map_err(told)?;
    let is_block = std::fs::metadata(device).is_ok_and(|about| about.file_type().is_block_device());
    let (_keep, node) = if is_block {
        (None, device.to_owned())
    } else {
        let file =
            File::open(device).map_err(|error| format!("open {}: {error}", device.display()))?;
        let (open, node) = loops::attach(&file).map_err(told)?;
        (Some(open), node)
    };
    let candidates =
        if file_system.is_empty() { known_file_systems()? } else { vec![file_system.to_owned()] };
    let mut problem = "the system knows no file system".to_owned();
    for kind in candidates {
        match mount::file_system(&node, root, &kind, options_of(&kind)) {
            Ok(()) => return Ok(()),
            Err(error) => problem = format!("as {kind}: {}", told(error)),
        }
    }
    Err(problem)
}

/// Read-only, and without a replay of the journal, which would write: what was verified stays so.
fn options_of(kind: &str) -> &'static str {
    match kind {
        "ext3" | "ext4" => "ro,noload",
        "xfs" | "f2fs" => "ro,norecovery",
        "btrfs" => "ro,rescue=nologreplay",
        _ => "ro",
    }
}

/// Those on block devices that the kernel knows, as `mount` tries them.
fn known_file_systems() -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(FILE_SYSTEMS)
        .map_err(|error| format!("read {FILE_SYSTEMS}: {error}"))?;
    let names = text.lines().filter(|line| !line.starts_with("nodev"));
    Ok(names.map(|line| line.trim().to_owned()).collect())
}

/// How far a program says that it is, in thousandths.
fn permille(line: &str) -> Option<u64> {
    let fraction: f64 = line.strip_prefix("global_progress ")?.trim().parse().ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    fraction.is_finite().then(|| (fraction.clamp(0.0, 1.0) * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::permille;

    #[test]
    fn progress_is_a_fraction() {
        assert_eq!(permille("global_progress 0.5"), Some(500));
        assert_eq!(permille("global_progress 7"), Some(1000));
        assert_eq!(permille("global_progress -1"), Some(0));
        for other in ["global_progress", "global_progress NaN", "progress 0.5", ""] {
            assert_eq!(permille(other), None, "{other}");
        }
    }
}
