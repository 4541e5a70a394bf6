//! The device agent: what this device should run is asked, verified, fetched, put in place,
//! tried, and confirmed or taken back; the server hears the truth about it.
//!
//! ```text
//! config ─► Agent ─► provision ─► Session ─► Cycle ─► Engine (updraft-update)
//!                                    │                  ├─ UptaneSource     what to run, proven
//!                                  Store                ├─ OstreeInstaller  puts it in place
//!                                                       ├─ SecondaryInstaller one for each other ECU
//!                                                       ├─ Device           reboots
//!                                                       └─ StoredJournal    survives power cuts
//! ```
//! Invariants: nothing that Uptane did not verify reaches the installer; a target counts as
//! installed when it was booted and its health checks passed, and not before; every change of
//! state is one transaction, so that the agent may be killed anywhere.

pub mod config;
mod error;

mod agent;
pub mod clock;
mod library;

pub mod store;

mod aktualizr;
mod control;

mod credentials;
pub mod gateway;
mod keys;
mod provision;
mod renew;
mod session;

mod cycle;
mod secondaries;
mod source;

mod boot;
mod bootloader;
mod commit_payload;
mod health;
mod host;
mod installer;
mod medium;
mod metrics;
mod ostree;
mod reboot;
mod service_manager;
mod slot_rollback;
mod slots;
mod trial;
mod watchdog;

pub mod lite;

/// What a program needs to bring secondaries of its own
/// ([`BackgroundAgent::add_secondary`](crate::BackgroundAgent::add_secondary)).
pub mod secondary {
    pub use updraft_ipuptane::OstreeCredentials;
    pub use updraft_secondary::{Error, Installation, Result};
    pub use updraft_tuf::{PublicKey, Repository, TrustedMetadata};

    pub use crate::secondaries::seam::{Known, Secondary};
}

mod campaign;
mod device_data;
mod events;
mod folder;
mod info;
mod logs;
mod manifest;
mod poll;
mod status;
mod time_zone;

pub use agent::{Agent, RunUntil};
pub use aktualizr::{TakeoverOutcome, adopt_secondary};
pub use campaign::{Campaign, CampaignAnswer, CampaignText};
pub use clock::{Clock, SystemClock};
pub use commit_payload::CommitPayload;
pub use control::Wishes;
pub use credentials::Credentials;
pub use cycle::{CycleOutcome, CycleReport, InstallChoice, RunOptions, TargetSummary};
pub use error::{Error, Result};
pub use health::{CheckResult, HealthReport};
pub use info::{DeviceInfo, PrimaryInfo, SecondaryInfo};
pub use keys::EcuKey;
pub use library::{
    BackgroundAgent, CheckStatus, Download, DownloadStatus, Install, InstallResult, LibraryEvent,
    PauseStatus, Pending, ResultCode, UpdateCheck,
};
pub use service_manager::ServiceManager;
pub use status::{EcuStatus, SecondaryStatus, Stage, StatusReport, UpdateStatus};
pub use trial::{BootGoodReport, CountStatus, RollbackReport};
