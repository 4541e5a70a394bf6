//! The agent's state, in one SQLite database: every change of state is one transaction.
//!
//! ```text
//! identity     who we are to the server: id, CA, certificate, key
//! renewal      the key whose certificate is to follow the present one
//! ecu          the primary ECU: serial, hardware id, key, whether the server knows it
//! metadata     trusted metadata files, byte for byte
//! update       the target that the journal is about
//! journal      the update engine's record of its one transaction
//! boot         which deployment is booted, and whether a reboot was asked for
//! installed    what was confirmed, newest last
//! failed       targets that are not tried again
//! attempt      how often a target was tried that failed through no fault of its own
//! counter      the report counter
//! report       the installation report that the server has not taken yet
//! event        events that the server has not taken yet
//! sent         hashes of device data that the server has
//! contact      when the server was reached last
//! root_history roots that were trusted, for those who look
//! file_image   which file is staged, next and running on an ECU without OSTree
//! lite_target  what the metadata of aktualizr-lite's targets said besides
//! secondary    the other ECUs: who they are, and what they reported
//! update_part  their parts in the update
//! misconfigured_ecu  those that are gone, or never came
//! ```
//! The folder has mode 0700 and the database 0600, for they hold private keys.

mod database;
mod file_image;
mod identity;
mod journal;
mod lite;
mod metadata;
mod number;
mod outbox;
mod schema;
mod secondary;
mod takeover;
mod update;

pub(crate) use database::LOCK;
pub use database::{Observer, Store};
pub use file_image::{FileImage, FilePlace};
pub use identity::{EcuRecord, IdentityRecord, Renewal};
pub use journal::{BootRecord, StoredJournal};
pub use outbox::{Contact, QueuedEvent};
pub use secondary::{SecondaryRecord, UpdatePart};
pub(crate) use takeover::{Pending, Takeover};
pub use update::{Failed, Installed, Milestone, Shares, Update};
