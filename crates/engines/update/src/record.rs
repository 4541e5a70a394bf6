//! What the journal remembers of one transaction.

use serde::{Deserialize, Serialize};

use crate::{Error, Failure, Plan};

/// Version of [`Record`]'s persisted form.
pub const FORMAT_VERSION: u32 = 1;

/// Largest encoded record. A plan has a few hundred bytes for each action.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Which way a transaction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards what is wanted.
    Forward,
    /// Back to what was before.
    Backward,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finished {
    /// Everything runs and is confirmed.
    Installed,
    /// Everything is as it was before.
    RolledBack,
}

/// One transaction: its plan and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub format_version: u32,
    /// What is being done.
    pub plan: Plan,
    /// Which way.
    pub direction: Direction,
    /// Forward: how many actions are done. Backward: how many are left to undo.
    pub position: usize,
    /// Token of the boot that the current action wants to end, once it asked for that.
    pub reboot_token: Option<String>,
    /// Why it turned back.
    pub failure: Option<Failure>,
    /// How it ended; `None` while it has not.
    pub finished: Option<Finished>,
}

impl Record {
    /// A transaction that has not begun.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            plan,
            direction: Direction::Forward,
            position: 0,
            reboot_token: None,
            failure: None,
            finished: None,
        }
    }

    /// Whether the device has to reboot before anything else can happen.
    #[must_use]
    pub fn awaits_reboot(&self) -> bool {
        self.finished.is_none() && self.reboot_token.is_some()
    }

    /// The persisted form: JSON.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "it never panics")]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has only strings, numbers and lists")
    }

    /// Reads the persisted form, refusing what this version would misunderstand.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let invalid = |reason: String| Error::InvalidJournal { reason };
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(invalid(format!("{} bytes, limit {MAX_RECORD_BYTES}", bytes.len())));
        }
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if record.format_version != FORMAT_VERSION {
            return Err(invalid(format!("unknown format version {}", record.format_version)));
        }
        record.check()?;
        Ok(record)
    }

    /// Fails when the position lies outside the plan.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.position > self.plan.actions.len() {
            return Err(Error::InvalidJournal {
                reason: format!(
                    "position {} of a plan with {} actions",
                    self.position,
                    self.plan.actions.len()
                ),
            });
        }
        Ok(())
    }
}
