//! [`Recovery`]: one start of recovery, from its arguments to the next start.
//!
//! ```text
//! arguments → control block (a power cut starts recovery again, with the same arguments)
//!   → gate → verify the package → install → wipe → logs → command file → control block
//! ```
//! Commit point: the control block, emptied last. Until then whatever happens leads back here. It is
//! not emptied while partitions are half written: the system could not start.

mod install;
mod logs;
mod options;
mod wipe;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_fs::Dir;
use updraft_task::Context;

pub use options::Options;

use crate::{ControlBlock, Ended, Error, Result, System, TrustedKeys, Updater};
use logs::{Logged, Logs};

/// Where all that recovery keeps is, in the cache.
const FOLDER: &str = "recovery";
/// What a previous start of the system wanted recovery to do.
const COMMAND: &str = "command";
/// The longest command file that is read, in bytes.
const MAX_COMMAND: u64 = 64 << 10;
const LAST_LOCALE: &str = "last_locale";
/// How often an update that failed for reasons that may pass is tried again.
const RETRY_LIMIT: u32 = 4;

/// Has the next start be one of recovery, with these options.
///
/// # Errors
/// When the command file or the control block cannot be written.
pub fn request(cache: &Path, control: &ControlBlock, options: &Options) -> Result<()> {
    let state = Dir::create_all(cache.join(FOLDER), 0o770)?;
    let lines = options.lines();
    updraft_fs::atomic_write(&state, COMMAND, (lines.join("\n") + "\n").as_bytes(), 0o600)?;
    // Commit point: from now on recovery starts.
    control.change(|message| message.set_options(&lines))
}

/// What a device says about updating now: `Err` is the reason not to.
pub type Gate<'a> = &'a dyn Fn() -> Result<(), String>;

/// What recovery knows of its device.
pub struct Settings<'a> {
    /// The file system that stays when all else is written, mounted.
    pub cache: PathBuf,
    /// What `--wipe_data` empties, mounted.
    pub data: Option<PathBuf>,
    /// The partition with the control block.
    pub misc: String,
    /// Whose packages are installed.
    pub keys: TrustedKeys,
    /// The package that `--sideload` installs.
    pub sideload: Option<String>,
    /// Asked before an update begins: battery, temperature, time.
    pub gate: Gate<'a>,
    /// What the kernel said so far.
    pub kernel_log: String,
}

impl std::fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// Where the device goes from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The system starts.
    System,
    /// Recovery starts again and goes on.
    Recovery,
    /// The device is turned off.
    PowerOff,
    /// It stays here: the system is half written. The next start tries again, and any other package
    /// that is whole is taken.
    Stay,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where the device goes.
    pub next: Next,
    /// What went wrong, if something did.
    pub error: Option<Error>,
}

/// One start of recovery.
#[derive(Debug)]
pub struct Recovery<'a> {
    settings: &'a Settings<'a>,
    system: &'a System,
    /// `/cache/recovery`.
    state: Dir,
    control: ControlBlock,
    context: Context,
    log: Arc<Logged>,
}

impl<'a> Recovery<'a> {
    /// Opens the control block and the folder for what has to outlive a power cut.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn new(context: &Context, settings: &'a Settings<'a>, system: &'a System) -> Result<Self> {
        let state = Dir::create_all(settings.cache.join(FOLDER), 0o770)?;
        let control = ControlBlock::new(system.device(&settings.misc)?);
        let log = Arc::new(Logged::new(context));
        let context = context.clone().with_progress(log.clone());
        Ok(Self { settings, system, state, control, context, log })
    }

    /// Does what the arguments say; without any, what the control block says, or the command file.
    ///
    /// # Errors
    /// When the control block cannot be read or written. What goes wrong with an update is in the
    /// [`Outcome`].
    pub fn run(&self, arguments: &[String]) -> Result<Outcome> {
        let options = self.options(arguments)?;
        // From here on a power cut starts recovery again, with the same arguments.
        self.control.change(|message| message.set_options(&options.lines()))?;
        let logs = Logs::begin(&self.state)?;
        if let Some(locale) = &options.locale {
            updraft_fs::atomic_write(&self.state, LAST_LOCALE, locale.as_bytes(), 0o644)?;
        }
        for unknown in &options.unknown {
            self.say(&format!("{unknown} says nothing to a recovery without a screen"));
        }
        if let Some(reason) = &options.reason {
            self.say(&format!("reason: {reason}"));
        }
        let result = self.work(&options);
        let outcome = self.outcome(&options, result)?;
        if let Some(error) = &outcome.error {
            self.say(&format!("failed: {}", logs::with_causes(error)));
        }
        logs.write(&self.log.text(), &self.settings.kernel_log)?;
        if matches!(outcome.next, Next::System | Next::PowerOff) {
            self.state.try_unlink(COMMAND)?;
            self.state.sync()?;
            // Commit point: from now on the system starts.
            self.control.change(|message| {
                message.clear();
                Ok(())
            })?;
        }
        Ok(outcome)
    }

    /// The arguments, wherever they come from.
    fn options(&self, arguments: &[String]) -> Result<Options> {
        if !arguments.is_empty() {
            return Ok(Options::parse(arguments));
        }
        let told = self.control.read()?.options();
        if !told.is_empty() {
            return Ok(Options::parse(&told));
        }
        let file = self.state.try_read(COMMAND, MAX_COMMAND)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&file).into_owned();
        let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        Ok(Options::parse(&lines))
    }

    fn work(&self, options: &Options) -> Result<Next> {
        let mut wipes_cache = options.wipe_cache;
        if let Some(package) = self.package(options)? {
            match self.install(&package, options)? {
                Ended::RebootIntoRecovery => return Ok(Next::Recovery),
                Ended::Done { wipes_cache: also } => wipes_cache |= also,
            }
            let rest = Options {
                update_package: None,
                sideload: false,
                wipe_cache: wipes_cache,
                ..options.clone()
            };
            // The package is installed, whatever becomes of what is left to do.
            self.control.change(|message| message.set_options(&rest.lines()))?;
        } else if Updater::has_begun(&self.state)? {
            return Err(Error::HalfWritten);
        }
        if options.wipe_data || options.prompt_and_wipe_data {
            self.wipe_data(options)?;
        }
        if wipes_cache {
            self.wipe_cache()?;
        }
        Ok(if options.shutdown_after { Next::PowerOff } else { Next::System })
    }

    /// What becomes of a failure.
    fn outcome(&self, options: &Options, result: Result<Next>) -> Result<Outcome> {
        let error = match result {
            Ok(next) => return Ok(Outcome { next, error: None }),
            Err(error) => error,
        };
        let is_update = options.update_package.is_some() || options.sideload;
        let may_pass = updraft_error::Classify::kind(&error).is_retryable();
        if is_update && may_pass && options.retry_count < RETRY_LIMIT {
            let again = Options { retry_count: options.retry_count + 1, ..options.clone() };
            self.control.change(|message| message.set_options(&again.lines()))?;
            return Ok(Outcome { next: Next::Recovery, error: Some(error) });
        }
        let next = match Updater::has_begun(&self.state)? {
            true => Next::Stay,
            false if options.shutdown_after => Next::PowerOff,
            false => Next::System,
        };
        Ok(Outcome { next, error: Some(error) })
    }

    fn say(&self, text: &str) {
        self.context.report(&updraft_task::Event::Message(text.to_owned()));
    }
}
