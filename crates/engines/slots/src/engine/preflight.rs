//! [`Obstacle`]: why an update is not begun. All are looked for, so that nobody finds them one by one.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use updraft_payload::Partition;
use updraft_process::Command;
use updraft_task::Context;

use super::postinstall::Program;
use super::{Engine, ErrorCode, Headers, Phase, State};
use crate::boot_control::Slot;
use crate::{Head, Trust};

const BUFFER: usize = 1 << 20;

/// A reason not to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What Android's `update_engine` would say.
    pub code: ErrorCode,
    /// What is in the way.
    pub problem: String,
    /// What to do about it.
    pub way_out: String,
}

impl Obstacle {
    pub(super) fn new(code: u32, problem: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { code: ErrorCode(code), problem: problem.into(), way_out: way_out.into() }
    }
}

impl Engine {
    /// What is in the way of any update.
    pub(super) fn device_obstacles(
        &self,
        context: &Context,
        state: &State,
        trust: &Trust,
        headers: &Headers,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let mut add = |code, problem: String, way_out: &str| {
            found.push(Obstacle::new(code, problem, way_out));
        };
        if state.phase == Phase::NeedReboot {
            let problem =
                "an update was applied, and the device was not restarted since".to_owned();
            add(66, problem, "restart, or take it back: `updraft slots reset`");
        }
        if !trust.is_anybodys() {
            let problem = "nobody vouches for the payload: there are no keys and no properties";
            add(
                18,
                problem.to_owned(),
                "name `keys` in slots.toml, or give the payload's properties",
            );
        }
        if headers.powerwash && self.config.powerwash.is_none() {
            let problem =
                "POWERWASH asks to remove the user's data, and nothing here does that".to_owned();
            add(41, problem, "name a `powerwash` program in slots.toml, or leave it out");
        }
        let unknown = "say which slot runs: `updraft.slot=a` on the kernel's command line, or \
                       `running` in slots.toml";
        match (self.running, self.control.status()) {
            (_, Err(error)) => {
                let problem = format!("the boot loader's slots cannot be read: {}", chain(&error));
                add(5, problem, "check the boot-control section of slots.toml");
            }
            (None, Ok(_)) => add(1, "nobody knows which slot runs".to_owned(), unknown),
            (Some(running), Ok(status)) => {
                let own = running.of(&status.slots);
                let is_on_trial = own.is_successful == Some(false)
                    || state.update.as_ref().is_some_and(|update| {
                        update.target() == Some(running) && update.boot_id.is_some()
                    });
                if is_on_trial {
                    let problem = format!("slot {running} runs, and nobody has found it well yet");
                    add(1, problem, "`updraft slots mark-successful` when it is");
                }
            }
        }
        if let Some(ask) = &self.config.ask
            && let Some(problem) = refusal_of(context, ask)
        {
            add(40, problem, "see what `ask` in slots.toml looks at");
        }
        found
    }

    /// What is in the way of this payload.
    pub(super) fn payload_obstacles(
        &self,
        head: &Head,
        headers: &Headers,
        target: Slot,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let about = &head.manifest.about;
        // What does not say how old it is counts as older than everything.
        let new = about.max_timestamp.unwrap_or(0);
        if let Some(own) = self.config.build.timestamp
            && new < own
        {
            let problem = format!("the payload is of {new}, and what runs is newer: {own}");
            found.push(Obstacle::new(51, problem, "use a newer payload"));
        }
        if let Some(own) = &self.config.build.security_patch_level {
            // Dates as text, years first.
            let new = about.security_patch_level.as_deref().unwrap_or_default();
            if new < own.as_str() {
                let problem = format!(
                    "the payload's security patch level is {new:?}, and what runs has {own}"
                );
                found.push(Obstacle::new(51, problem, "use a newer payload"));
            }
        }
        let partitions = &head.manifest.partitions;
        let left_out = self
            .config
            .partitions
            .keys()
            .filter(|name| !partitions.iter().any(|partition| partition.name == **name));
        for name in left_out {
            if !self.is_same_in_both(name) {
                let problem = format!(
                    "the payload leaves out partition {name}, and slot {target} does not have that \
                     of what runs"
                );
                let way_out = "use a payload with all partitions, or copy this one from what runs";
                found.push(Obstacle::new(6, problem, way_out));
            }
        }
        let policy = self.config.postinstall;
        for problem in
            Program::all(&head.manifest, policy, headers).into_iter().filter_map(Result::err)
        {
            let way_out = "give RUN_POST_INSTALL=0, or say `postinstall = \"run\"` or `\"skip\"` in \
                           slots.toml";
            found.push(Obstacle::new(5, problem, way_out));
        }
        for partition in partitions {
            let both = self.config.partition(&partition.name, target);
            let Some(path) = both else {
                let problem =
                    format!("the payload writes partition {}, which no slot has", partition.name);
                found.push(Obstacle::new(7, problem, "add it to `partitions` in slots.toml"));
                continue;
            };
            found.extend(target_obstacle(partition, &path));
            let source = self.config.partition(&partition.name, target.other());
            if let (Some(old), Some(source)) = (partition.old, source) {
                found.extend(source_obstacle(partition, &source, old.size));
            }
        }
        found
    }
}

impl Engine {
    /// Whether a partition holds the same in both slots. One that cannot be read does not.
    fn is_same_in_both(&self, name: &str) -> bool {
        let open = |slot| {
            let path = self.config.partition(name, slot)?;
            std::fs::File::open(path).ok().map(|file| BufReader::with_capacity(BUFFER, file))
        };
        let (Some(mut one), Some(mut other)) = (open(Slot::A), open(Slot::B)) else { return false };
        loop {
            let (Ok(left), Ok(right)) = (one.fill_buf(), other.fill_buf()) else { return false };
            let common = left.len().min(right.len());
            if left.get(..common) != right.get(..common) || left.is_empty() != right.is_empty() {
                return false;
            }
            if common == 0 {
                return true;
            }
            one.consume(common);
            other.consume(common);
        }
    }
}

fn target_obstacle(partition: &Partition, path: &Path) -> Option<Obstacle> {
    let (name, shown) = (&partition.name, path.display());
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) => {
            let problem =
                format!("the target of partition {name} cannot be found: {shown}: {error}");
            return Some(Obstacle::new(7, problem, "check `partitions` in slots.toml"));
        }
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if about.file_type().is_block_device() {
        // Refused by the kernel when it is mounted, or somebody else's.
        options.custom_flags(OFlags::EXCL.bits().cast_signed());
    }
    let size = options.open(path).and_then(|mut file| file.seek(SeekFrom::End(0)));
    match size {
        Err(error) => {
            let problem = format!("the target of partition {name} is in use: {shown}: {error}");
            Some(Obstacle::new(7, problem, "unmount it; a slot that runs is never a target"))
        }
        Ok(size) if size < partition.new.size => {
            let needed = partition.new.size;
            let problem = format!("partition {name} needs {needed} bytes, and {shown} has {size}");
            Some(Obstacle::new(60, problem, "make the partition larger, or the image smaller"))
        }
        Ok(_) => None,
    }
}

fn source_obstacle(partition: &Partition, path: &Path, needed: u64) -> Option<Obstacle> {
    let (name, shown) = (&partition.name, path.display());
    let way_out = "use a full payload, or a delta from what runs";
    match std::fs::File::open(path).and_then(|mut file| file.seek(SeekFrom::End(0))) {
        Err(error) => {
            let problem =
                format!("the old content of partition {name} cannot be read: {shown}: {error}");
            Some(Obstacle::new(20, problem, way_out))
        }
        Ok(size) if size < needed => {
            let problem = format!(
                "the delta reads {needed} bytes of partition {name}, and {shown} has {size}"
            );
            Some(Obstacle::new(20, problem, way_out))
        }
        Ok(_) => None,
    }
}

/// What a program says that does not want an update now.
fn refusal_of(context: &Context, program: &Path) -> Option<String> {
    match Command::new(program).output(context) {
        Ok(done) if done.status.success() => None,
        Ok(done) => {
            let said = done.stdout.text();
            let first = said.lines().next().unwrap_or("it gave no reason");
            Some(format!("{} says no: {first}", program.display()))
        }
        Err(error) => Some(format!("{} cannot be asked: {}", program.display(), chain(&error))),
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
