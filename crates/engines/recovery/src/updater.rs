//! [`Updater`]: runs the `updater-script` of a package.
//!
//! The package's own `update-binary` is not run: its functions are here. A script that calls others is
//! refused before anything is written.

mod attributes;
mod blocks;
mod evaluate;
mod files;
mod functions;
mod logical;
mod mounts;
mod partitions;
mod patches;
mod table;

pub(crate) use blocks::{Parts, Work, block_image};

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_payload::script::{MAX_SCRIPT, Script};
use updraft_task::Context;

use crate::block::Answers;
use crate::{Attempt, Error, Package, Result, System, VerifiedPackage};

/// Where the script is in a package.
const SCRIPT: &str = "META-INF/com/google/android/updater-script";
/// Says that partitions are being written: until it is gone, the system may not be able to start.
const BEGAN: &str = "update_began";

/// What the device does after a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done {
        /// The script wants the cache to be emptied.
        wipes_cache: bool,
    },
    /// It goes on after another start of recovery.
    RebootIntoRecovery,
}

/// A script and what it works on.
#[derive(Debug)]
pub struct Updater<'a> {
    package: &'a VerifiedPackage,
    system: &'a System,
    /// `/cache/recovery`.
    state: &'a Dir,
    attempt: Attempt,
    context: &'a Context,
    /// The last failure of a function that told the script so.
    cause: RefCell<Option<Error>>,
    began: Cell<bool>,
    /// What `range_sha1` said so far, by device.
    answers: RefCell<BTreeMap<String, Answers>>,
    /// The devices of which an update was begun or gone on with in this run.
    updated: RefCell<BTreeSet<String>>,
    /// The changes of logical partitions that this run passed, by their number.
    steps: RefCell<BTreeSet<usize>>,
    /// Whether files were written, which have to become durable.
    touched_files: Cell<bool>,
    /// What was mounted and is still there, in this order.
    mounted: RefCell<Vec<PathBuf>>,
    wipes_cache: Cell<bool>,
}

impl<'a> Updater<'a> {
    /// A script of a package that was verified.
    #[must_use]
    pub fn new(
        context: &'a Context,
        package: &'a VerifiedPackage,
        system: &'a System,
        state: &'a Dir,
        attempt: Attempt,
    ) -> Self {
        Self {
            package,
            system,
            state,
            attempt,
            context,
            cause: RefCell::default(),
            began: Cell::default(),
            answers: RefCell::default(),
            updated: RefCell::default(),
            steps: RefCell::default(),
            touched_files: Cell::default(),
            mounted: RefCell::default(),
            wipes_cache: Cell::default(),
        }
    }

    /// Whether the package has a script.
    pub(crate) fn is_for(package: &Package) -> bool {
        package.zip.entry(SCRIPT).is_some()
    }

    /// Whether partitions were being written when recovery ended the last time, or are now.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn has_begun(state: &Dir) -> Result<bool> {
        Ok(state.exists(BEGAN)?)
    }

    /// Runs it.
    ///
    /// # Errors
    /// Why it gave up. A function that failed is the cause.
    pub fn run(&self) -> Result<Ended> {
        let missing = || Error::entry(SCRIPT, Kind::Unsupported, "there is none");
        let text = self.package.read(SCRIPT, MAX_SCRIPT)?.ok_or_else(missing)?;
        let script = Script::parse(&text)?;
        for (name, arguments, line) in script.calls() {
            table::check(name, arguments, line)?;
        }
        let result = self.evaluate(&script.body);
        self.sync_files();
        // What is still mounted could be written after this.
        let unmounted = self.unmount_all();
        let ended = match result {
            Ok(_) => Ended::Done { wipes_cache: self.wipes_cache.get() },
            Err(Error::RebootNow) => Ended::RebootIntoRecovery,
            Err(error) => return Err(error),
        };
        unmounted?;
        if ended != Ended::RebootIntoRecovery {
            Self::finish(self.state)?;
        }
        Ok(ended)
    }

    /// Says that the partitions are whole again.
    pub(crate) fn finish(state: &Dir) -> Result<()> {
        if state.try_unlink(BEGAN)? {
            state.sync()?;
        }
        Ok(())
    }

    /// Says that partitions are being written, before the first one is.
    pub(crate) fn begin(state: &Dir) -> Result<()> {
        Ok(atomic_write(state, BEGAN, b"", 0o600)?)
    }

    fn begins(&self) -> Result<()> {
        if !self.began.replace(true) {
            Self::begin(self.state)?;
        }
        Ok(())
    }
}
