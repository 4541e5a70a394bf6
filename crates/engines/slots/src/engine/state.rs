//! [`State`]: what has to be remembered of an update, over power cuts and restarts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use updraft_fs::{Dir, atomic_write};

use crate::boot_control::Slot;
use crate::{Error, Result};

const FILE: &str = "state.json";
const FORMAT: &str = "updraft-slots-state";
const VERSION: u32 = 1;
const MAX_FILE: u64 = 1 << 20;

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// There is none.
    Idle,
    /// It was begun: the target holds nothing that could be started.
    Begun,
    /// The target is complete and verified; it is not started yet.
    Applied,
    /// The target is what is started next.
    NeedReboot,
}

/// A partition that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Its name, without the slot.
    pub name: String,
    /// Bytes of its content.
    pub size: u64,
    /// Their hash, in hex.
    pub sha256: String,
}

/// What a slot holds, by the name that whoever asked for it has for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotImage {
    /// Its name.
    pub name: String,
    /// Its hash in lower hex: of a payload that makes all of it.
    pub sha256: String,
}

/// An update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Where it came from, without passwords.
    pub origin: String,
    /// The hash of the payload's metadata, in hex.
    pub metadata_sha256: String,
    /// `a` or `b`: the slot that is written.
    pub target: char,
    /// How often it was begun without getting further.
    pub attempts: u32,
    /// At which operation the last try began.
    pub reached: u64,
    /// What was written, once it is all there.
    pub partitions: Vec<Written>,
    /// The start of the system during which the target was made the active slot.
    pub boot_id: Option<String>,
    /// What the slot will hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<SlotImage>,
    /// Whether the first start of the target is to remove the user's data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub powerwash: bool,
}

/// How the last update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// A number of [`ErrorCode`](super::ErrorCode).
    pub code: u32,
    /// What was said.
    pub message: String,
}

/// What has to be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    format: String,
    version: u32,
    /// How far the update is.
    pub phase: Phase,
    /// The update that this is about.
    pub update: Option<Update>,
    /// `a` or `b`: the slot that holds half an update, also when that is forgotten.
    pub incomplete: Option<char>,
    /// How the last one ended.
    pub last: Option<Outcome>,
    /// What each slot holds, where that is known and all of it is there, by `a` and `b`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contents: BTreeMap<char, SlotImage>,
    /// The start of the system in which what runs was marked successful last, where the boot loader
    /// does not remember that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            phase: Phase::Idle,
            update: None,
            incomplete: None,
            last: None,
            contents: BTreeMap::new(),
            marked: None,
        }
    }
}

impl Update {
    /// The slot that is written.
    #[must_use]
    pub fn target(&self) -> Option<Slot> {
        Slot::ALL.into_iter().find(|slot| slot.letter() == self.target)
    }
}

impl State {
    /// Nothing is in work; what is left is the trial of an update that runs already, and what the
    /// slots hold.
    pub(super) fn at_rest(self, update: Option<Update>) -> Self {
        let Self { incomplete, contents, marked, .. } = self;
        Self { update, incomplete, contents, marked, ..Self::default() }
    }

    /// Reads a record. `None`: it is none, or one of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let state: Self = serde_json::from_slice(bytes).ok()?;
        (state.format == FORMAT && state.version == VERSION).then_some(state)
    }

    /// What is remembered in this folder; nothing, where the record is damaged: then an update begins
    /// anew.
    pub(super) fn load(folder: &Dir) -> Result<Self> {
        let bytes = folder.try_read(FILE, MAX_FILE)?;
        Ok(bytes.and_then(|bytes| Self::decode(&bytes)).unwrap_or_default())
    }

    /// Commit point: the rename within.
    pub(super) fn store(&self, folder: &Dir) -> Result<()> {
        // Strings and numbers: nothing in it can fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        atomic_write(folder, FILE, &bytes, 0o600).map_err(Error::Fs)
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Phase, State, Update, Written};

    #[test]
    fn a_record_reads_back() {
        let golden = include_str!("../../tests/golden/state-1.json");
        let written = Written { name: "system".to_owned(), size: 4096, sha256: "ab".repeat(32) };
        let update = Update {
            origin: "https://example.org/p.bin".to_owned(),
            metadata_sha256: "cd".repeat(32),
            target: 'b',
            attempts: 1,
            reached: 0,
            partitions: vec![written],
            boot_id: Some("1".to_owned()),
            image: None,
            powerwash: false,
        };
        let last = Some(Outcome { code: 52, message: "applied".to_owned() });
        let state =
            State { phase: Phase::NeedReboot, update: Some(update), last, ..State::default() };
        assert_eq!(serde_json::to_string_pretty(&state).unwrap() + "\n", golden);
        assert_eq!(State::decode(golden.as_bytes()), Some(state));
        for bad in ["", "{}", &golden.replace("\"version\": 1", "\"version\": 2")] {
            assert_eq!(State::decode(bad.as_bytes()), None);
        }
    }
}
