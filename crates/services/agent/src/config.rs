//! Configuration: one typed struct, read from a file, its drop-in folder, the environment and
//! options, each stronger than the one before it.
//!
//! Sections and keys have the names that aktualizr gave them where it has them. A key that is
//! not known is refused with its file and line, for a misspelt key is a setting that silently
//! does not hold.

mod aktualizr;
mod health;
mod keys;
mod load;
mod secondaries;
mod settings;
mod show;
mod uptane;
mod validate;

pub use aktualizr::{
    AktualizrLoaded, AktualizrSources, DEFAULT_FOLDERS, Entry, Malformed, load_aktualizr,
    parse as parse_aktualizr,
};
pub use health::{HealthCheck, HealthChecks, Watchdog, WatchdogMode};
pub use keys::{Est, KeySource, P11, UptaneKeyType};
pub use load::{Loaded, Origin, Sources, drop_in_folder, load};
pub use secondaries::{
    IpSecondary, LocalSecondary, MAX_SECONDARIES_FILE, SecondariesFile, SecondaryTls,
    parse_secondaries,
};
pub use settings::{
    Boot, Bootloader, Import, Logger, Pacman, Provision, ProvisionMode, Settings, Storage,
    Telemetry, Tls, Transfer,
};
pub use show::{Setting, settings_list, to_toml};
pub use uptane::{DirectorMetadata, UptaneSettings};
