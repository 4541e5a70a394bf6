//! What an ECU remembers, in one file that is replaced as a whole.

use serde::{Deserialize, Serialize};
use updraft_fs::{Dir, atomic_write};
use updraft_tuf::Hashes;

use crate::{Error, Result};

const FILE: &str = "state.json";
/// The version of [`State`]'s form.
const FORMAT: u32 = 1;
const MAX_STATE: u64 = 1 << 20;

/// An image as the ECU remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// The target's path.
    pub filepath: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its SHA-512, where its metadata lists no SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<String>,
    /// Its release counter, if it has one.
    pub release_counter: Option<u64>,
}

impl ImageRecord {
    /// Its hashes: all that its metadata may be compared by.
    pub(crate) fn hashes(&self) -> Hashes {
        let hashes = Hashes::from_sha256(&self.sha256);
        match &self.sha512 {
            Some(sha512) => hashes.and_sha512(sha512),
            None => hashes,
        }
    }
}

/// What ran before an installation that is not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Previous {
    /// The image, if there was one that we knew.
    pub(crate) image: Option<ImageRecord>,
}

/// All that has to survive a power cut, besides metadata and images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The last value of the report counter that was given out.
    pub(crate) counter: u64,
    /// What runs, as far as this program put it there.
    pub(crate) installed: Option<ImageRecord>,
    /// What is being put in place at this moment.
    pub(crate) installing: Option<ImageRecord>,
    /// What is in place and runs after the next start.
    pub(crate) awaiting: Option<ImageRecord>,
    /// Set while the last installation may be taken back.
    pub(crate) unconfirmed: Option<Previous>,
    /// What looked like an attack since the last metadata that was trusted.
    pub(crate) attacks: String,
    /// Whether the metadata that counts came from a medium.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) medium: bool,
}

impl State {
    /// Reads the state; an ECU without one is new.
    pub(crate) fn load(folder: &Dir) -> Result<Self> {
        let Some(bytes) = folder.try_read(FILE, MAX_STATE)? else {
            return Ok(Self {
                format: FORMAT,
                counter: 0,
                installed: None,
                installing: None,
                awaiting: None,
                unconfirmed: None,
                attacks: String::new(),
                medium: false,
            });
        };
        let state: Self =
            serde_json::from_slice(&bytes).map_err(|_| Error::Damaged { what: FILE })?;
        if state.format == FORMAT { Ok(state) } else { Err(Error::Damaged { what: FILE }) }
    }

    /// Makes the state durable.
    pub(crate) fn store(&self, folder: &Dir) -> Result<()> {
        let bytes = serde_json::to_vec(self).expect("strings and numbers have a JSON form");
        // Commit point of every change of state: this rename.
        atomic_write(folder, FILE, &bytes, 0o600)?;
        Ok(())
    }
}
