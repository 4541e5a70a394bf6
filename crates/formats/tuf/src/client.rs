//! The client workflows of TUF and Uptane as state machines without input and output.
//!
//! A driver calls `next`, does what the [`Step`] says, and hands back what it got:
//!
//! ```text
//! loop { match updater.next()? {
//!     Step::Fetch { file_name, max_length, .. } => received(bytes) or absent(),
//!     Step::Persist { role, bytes, .. }         => store bytes durably before the next call,
//!     Step::Delete { role, .. }                 => remove the stored file durably,
//!     Step::Done(outcome)                       => everything in it is verified,
//! } }
//! ```
//! A file is handed out for persisting as soon as it is trusted, byte for byte as it came. After
//! a crash at any point the next run begins with what was stored and ends with the same result.

mod assignment;
mod encrypted;
mod offline;
mod open;
mod options;
mod repository;
mod roots;
mod search;
mod step;
mod targets;
mod tuf;
mod uptane;

pub use assignment::{Ecu, InstalledTarget, TargetFormat, UptaneTarget};
pub use encrypted::EncryptedImage;
pub use options::{
    DirectorFiles, EmptyTargets, EncryptedImages, FirstRoot, Limits, Options, OtherEcus,
    Verification,
};
pub use step::{RoleFiles, Step, TrustedMetadata};
pub use tuf::{TufOutcome, TufTarget, TufUpdater};
pub use uptane::{Outcome, UptaneUpdater};
