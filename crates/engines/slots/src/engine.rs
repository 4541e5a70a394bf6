//! [`Engine`]: the life of an update, as Android's `update_engine` leads it: applied to the slot that
//! does not run, verified, made the active one, tried, found well or given up.
//!
//! In this order, so that a power cut at any time leaves a device that starts:
//!
//! 1. what is in the way is looked for, and the payload's metadata is verified;
//! 2. it is remembered that the update was begun;
//! 3. the target is marked unbootable, before its first byte is written;
//! 4. operations are done, and it is recorded how far they are;
//! 5. the whole payload, and then what each partition holds, is verified, and the programs that the
//!    payload brings for that are run;
//! 6. it is remembered that the target is complete;
//! 7. **the commit point**: the target becomes the active slot, for so many tries;
//! 8. it is remembered that a restart is needed.
//!
//! What is remembered is never believed about the boot loader: that is asked.

mod code;
mod configured;
mod contents;
mod control;
mod headers;
mod http_source;
mod log;
mod overview;
mod postinstall;
mod preflight;
mod progress;
mod settle;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use updraft_crypto::plain::SpkiKey;
use updraft_error::Kind;
use updraft_fs::{Dir, LockFile, LockMode};
use updraft_task::Context;

pub use code::ErrorCode;
pub use configured::{ConfiguredUpdate, without_password};
pub use control::Ask;
pub use headers::Headers;
pub use http_source::HttpSource;
pub use log::LogEntry;
pub use overview::{LastOverview, Overview, SlotOverview, UpdaterState};
use postinstall::Program;
pub use preflight::Obstacle;
pub use progress::UpdateProgress;
pub use state::{Outcome, Phase, SlotImage, State, Update, Written};

use crate::apply::apply_where;
use crate::boot_control::{BootControl, Slot};
use crate::checkpoint::Checkpoint;
use crate::plan::check_supported;
use crate::{ApplyOptions, Error, Head, Result, SlotsConfig, Source, Trust};

const LOCK: &str = "lock";
/// Whoever only looks holds the lock for less.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
const CHECKPOINT: &str = "checkpoint.json";
/// Longest file with a key that is read, in bytes.
const MAX_KEY: u64 = 64 << 10;
/// After so many tries that got no further, all is done anew.
const MAX_ATTEMPTS: u32 = 10;
/// What may be read twice, when the power is cut, in several operations.
const CHECKPOINT_DATA: u64 = 1 << 20;

/// What an update engine is doing, by Android's names and numbers. An engine of slots never is in
/// those between that are for servers and their policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum EngineStatus {
    Idle = 0,
    CheckingForUpdate = 1,
    UpdateAvailable = 2,
    Downloading = 3,
    Verifying = 4,
    Finalizing = 5,
    UpdatedNeedReboot = 6,
    ReportingErrorEvent = 7,
    AttemptingRollback = 8,
    Disabled = 9,
    NeedPermissionToUpdate = 10,
    CleanupPreviousUpdate = 11,
}

/// An update that shall be applied.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// Where it comes from, for people; without passwords.
    pub origin: String,
    /// What is told of it beside.
    pub headers: Headers,
    /// What the slot holds when it is applied.
    pub image: Option<SlotImage>,
}

/// The slots of a device, and what is done with them.
pub struct Engine {
    config: SlotsConfig,
    control: Box<dyn BootControl>,
    running: Option<Slot>,
    boot_id: String,
    folder: Dir,
    now: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
}

impl Engine {
    /// The engine of a device. `boot_id` tells one start of the system from the next, as
    /// `/proc/sys/kernel/random/boot_id` does.
    ///
    /// # Errors
    /// When the state folder cannot be made.
    pub fn open(
        config: SlotsConfig,
        running: Option<Slot>,
        boot_id: impl Into<String>,
    ) -> Result<Self> {
        let control = config.boot_control.open();
        let folder = Dir::create_all(&config.state, 0o755)?;
        Ok(Self { config, control, running, boot_id: boot_id.into(), folder, now: None })
    }

    /// What it was made of.
    #[must_use]
    pub fn config(&self) -> &SlotsConfig {
        &self.config
    }

    fn lock(&self) -> Result<LockFile> {
        let context = Context::silent();
        let mode = LockMode::Exclusive;
        LockFile::acquire(&context, &self.folder, LOCK, mode, LOCK_PATIENCE).map_err(|error| {
            let is_busy = error.io_kind() == std::io::ErrorKind::ResourceBusy;
            if is_busy { Error::Busy } else { error.into() }
        })
    }

    /// Asks the process that applies an update to pause, to go on, or to stop.
    ///
    /// # Errors
    /// When nothing is applied now.
    pub fn ask(&self, ask: Ask) -> Result<()> {
        if LockFile::try_acquire(&self.folder, LOCK, LockMode::Exclusive)?.is_some() {
            return Err(Error::State {
                problem: "no update is being applied".to_owned(),
                kind: Kind::Conflict,
            });
        }
        ask.write(&self.folder)?;
        self.note(ask.done(), "by request");
        Ok(())
    }

    /// A context for what waits while an update is applied, such as a connection: it also waits and
    /// stops when another process [asks](Engine::ask) for that.
    #[must_use]
    pub fn attended(&self, context: &Context) -> Context {
        let asked = control::Asked::new(self.folder.clone(), context.clone());
        context.clone().with_gate(Arc::new(asked))
    }

    /// Everything that is in the way of this update, without beginning it.
    ///
    /// # Errors
    /// When the payload cannot be read or is not trusted.
    pub fn preflight(
        &self,
        context: &Context,
        source: &mut dyn Source,
        request: &UpdateRequest,
    ) -> Result<Vec<Obstacle>> {
        let trust = self.trust(&request.headers)?;
        let state = State::load(&self.folder)?;
        let mut found = self.device_obstacles(context, &state, &trust, &request.headers);
        if let Some(running) = self.running {
            let head = Head::read(source, &trust)?;
            check_supported(&head.manifest, head.manifest.partitions.iter())?;
            found.extend(self.payload_obstacles(&head, &request.headers, running.other()));
        }
        Ok(found)
    }

    /// Applies an update, or goes on with one that was interrupted. [`ErrorCode::SUCCESS`]: it is
    /// started next; [`ErrorCode::UPDATED_BUT_NOT_ACTIVE`]: once [`Engine::switch`] says so.
    ///
    /// # Errors
    /// Of each kind; it is remembered for [`Engine::overview`]. After most of them, and after a kill
    /// or power cut, the next call with the same payload goes on.
    pub fn apply(
        &self,
        context: &Context,
        source: &mut dyn Source,
        request: &UpdateRequest,
    ) -> Result<ErrorCode> {
        let _lock = self.lock()?;
        Ask::clear(&self.folder)?;
        let mut state = self.settled()?;
        let done = self.apply_locked(context, source, request, &mut state);
        let (code, message) = match &done {
            Ok(code) => (*code, code.cause().to_owned()),
            Err(error) => (ErrorCode::of(error), preflight::chain(error)),
        };
        let event = if done.is_ok() { "applied" } else { "failed" };
        self.note(event, format_args!("{message} ({} {})", code.0, code.name()));
        state.last = Some(Outcome { code: code.0, message });
        state.store(&self.folder)?;
        Ask::clear(&self.folder)?;
        done
    }

    fn apply_locked(
        &self,
        context: &Context,
        source: &mut dyn Source,
        request: &UpdateRequest,
        state: &mut State,
    ) -> Result<ErrorCode> {
        let trust = self.trust(&request.headers)?;
        let obstacles = self.device_obstacles(context, state, &trust, &request.headers);
        let (Some(running), true) = (self.running, obstacles.is_empty()) else {
            return Err(Error::Refused(obstacles));
        };
        let target = running.other();
        let overall =
            Arc::new(progress::Overall::new(self.folder.clone(), context.progress.clone()));
        let context = self.attended(context).with_progress(overall.clone());
        let mut options = ApplyOptions::new(&self.config.state);
        options.state = Some(self.config.state.join(CHECKPOINT));
        options.checkpoint_data_bytes = Some(CHECKPOINT_DATA);
        let mut paced = Paced { context: context.clone(), source };
        let mut programs = Vec::new();
        let applied = apply_where(&context, &mut paced, &trust, &options, |head| {
            let obstacles = self.payload_obstacles(head, &request.headers, target);
            if !obstacles.is_empty() {
                return Err(Error::Refused(obstacles));
            }
            check_supported(&head.manifest, head.manifest.partitions.iter())?;
            let policy = self.config.postinstall;
            programs = Program::all(&head.manifest, policy, &request.headers);
            self.begin(state, head, request, target)?;
            let names = head.manifest.partitions.iter().map(|one| one.name.as_str());
            let places = self.config.places(&names.collect::<Vec<_>>(), target);
            places.map_err(|name| Error::partition(&name, Kind::NotFound, "no slot has it"))
        });
        let finished = match applied {
            Ok(applied) => {
                overall.finalizing(0, 1);
                let programs: Vec<Program> = programs.into_iter().flatten().collect();
                self.run_programs(&context, &overall, &programs, target).and_then(|()| {
                    self.finish(state, &applied, request.headers.switch_slot, target)
                })
            }
            Err(Error::Read { .. }) if context.cancel.is_cancelled() => {
                Err(updraft_task::Cancelled.into())
            }
            Err(error) => Err(error),
        };
        overall.end();
        finished
    }

    /// Steps 2 and 3.
    fn begin(
        &self,
        state: &mut State,
        head: &Head,
        request: &UpdateRequest,
        target: Slot,
    ) -> Result<()> {
        let metadata_sha256 = hex::encode(head.metadata_sha256);
        let checkpoint = self.config.state.join(CHECKPOINT);
        let at = Checkpoint::load(&checkpoint)?.map_or(0, |record| record.next_operation());
        let earlier = state.update.take().filter(|it| it.metadata_sha256 == metadata_sha256);
        let attempts = earlier.filter(|earlier| earlier.reached == at);
        let mut attempts = attempts.map_or(0, |earlier| earlier.attempts).saturating_add(1);
        if attempts > MAX_ATTEMPTS {
            Checkpoint::remove(&checkpoint)?;
            attempts = 1;
        }
        state.phase = Phase::Begun;
        state.incomplete = Some(target.letter());
        state.contents.remove(&target.letter());
        state.update = Some(Update {
            origin: request.origin.clone(),
            metadata_sha256,
            target: target.letter(),
            attempts,
            reached: at,
            partitions: Vec::new(),
            boot_id: None,
            image: request.image.clone(),
            powerwash: request.headers.powerwash,
        });
        state.store(&self.folder)?;
        let how = if at > 0 { "resumed" } else { "begun" };
        self.note(how, format_args!("{} into slot {target}", request.origin));
        self.control.mark_unbootable(target)
    }

    /// Steps 6 to 8.
    fn finish(
        &self,
        state: &mut State,
        applied: &crate::Applied,
        switch: bool,
        target: Slot,
    ) -> Result<ErrorCode> {
        let written = applied.partitions.iter().map(|(name, content)| Written {
            name: name.clone(),
            size: content.size,
            sha256: hex::encode(content.sha256),
        });
        if let Some(update) = &mut state.update {
            update.partitions = written.collect();
            if let Some(image) = &update.image {
                state.contents.insert(target.letter(), image.clone());
            }
        }
        (state.phase, state.incomplete) = (Phase::Applied, None);
        state.store(&self.folder)?;
        Checkpoint::remove(&self.config.state.join(CHECKPOINT))?;
        if !switch {
            return Ok(ErrorCode::UPDATED_BUT_NOT_ACTIVE);
        }
        self.activate(state, target)?;
        Ok(ErrorCode::SUCCESS)
    }

    fn trust(&self, headers: &Headers) -> Result<Trust> {
        let read = |path: &std::path::PathBuf| {
            let key = SpkiKey::from_pem(&text(path)?);
            Ok(key?)
        };
        let keys = self.config.keys.iter().map(read).collect::<Result<_>>()?;
        Ok(Trust { keys, properties: headers.properties.clone() })
    }
}

fn text(path: &Path) -> Result<String> {
    use std::io::Read as _;

    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
        .map_err(Error::file("read", path))?;
    Ok(text)
}

/// A source that waits and stops, while it is read, when somebody asks for that.
struct Paced<'a> {
    context: Context,
    source: &'a mut dyn Source,
}

impl Source for Paced<'_> {
    fn open(&mut self, offset: u64) -> Result<Box<dyn std::io::Read + '_>> {
        let context = self.context.clone();
        Ok(Box::new(PacedReader { context, reader: self.source.open(offset)? }))
    }

    fn size(&self) -> Option<u64> {
        self.source.size()
    }
}

struct PacedReader<'a> {
    context: Context,
    reader: Box<dyn std::io::Read + 'a>,
}

impl std::io::Read for PacedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.context.check().map_err(std::io::Error::other)?;
        self.reader.read(buffer)
    }
}
