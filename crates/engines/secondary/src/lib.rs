//! A secondary ECU: it verifies metadata itself, keeps its own state, and installs an image.
//!
//! ```text
//! Server ─► Ecu ─┬─ verify      Full, Tuf or Partial: what this ECU shall run, proven
//!    ▲           ├─ MetadataFiles, State    files that any power cut leaves consistent
//!    │           └─ Payload     a file, a command, an action handler
//! Link ── the primary's end of the same protocol
//! ```
//! Nothing that the primary says is believed: metadata is verified against the roots that this
//! ECU trusts, and an image against that metadata. Time is a parameter.

mod error;
mod medium;
mod verify;

mod metadata;
mod state;

pub mod payload;

mod ecu;

mod commit;
mod greeting;
mod link;
mod server;
mod stream;
pub mod tls;

pub use commit::CommitObjects;
pub use ecu::{Adopted, Ecu, EcuOptions, Installation};
pub use error::{Error, Result};
pub use greeting::{WaitPort, greet};
pub use link::{Connection, Link};
pub use server::{Ending, Server, ServerOptions};
pub use state::ImageRecord;
pub use verify::{UnknownVerification, Verification};
