//! aktualizr-lite's way of updating: one TUF repository, whose targets carry versions, hardware
//! ids and tags; the device itself chooses the highest that is meant for it.
//!
//! ```text
//! LiteSettings ─► Lite ─► Session (registered or anonymous)
//!                  │        metadata (server, folder or what is stored) ─► TufUpdater
//!                  │        selection: hardware id, tags, version, not failing, no downgrade
//!                  └─ Work ─► Engine ─► LiteInstaller ─► OstreeInstaller
//! ```
//! Commands, exit codes, JSON, callbacks and configuration are those of aktualizr-lite, so that
//! scripts go on working. Apps have their seam in [`LiteTarget::apps`]: they are listed, and not
//! installed.

mod apps_state;
mod boot_environment;
mod bundle;
mod callbacks;
mod checkin;
mod client;
mod code;
mod current;
mod daemon;
mod events;
mod finalize;
mod install;
mod installer;
mod listing;
mod metadata;
mod pull;
mod rollback;
mod roots;
mod selection;
mod session;
mod settings;
mod status;
mod target;
mod work;

pub use boot_environment::RollbackMode;
pub use client::{Lite, OfflineBundle, Request};
pub use code::{Halt, StatusCode};
pub use daemon::DaemonOptions;
pub use listing::{ListedApp, ListedTarget, Listing};
pub use selection::Wish;
pub use settings::LiteSettings;
pub use status::{AppliedApp, AppliedTarget, DeviceInfo, LiteStatus, NamedTarget};
pub use target::{App, LiteTarget};
