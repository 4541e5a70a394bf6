//! A/B updates: payloads become the content of the slot that is not running.
//!
//! * [`Source`]: where a payload is read from, in order; [`FileSource`] also finds it in an OTA
//!   package, [`Forward`] is for what comes once.
//! * [`Trust`]: whose word about a payload counts.
//! * [`Head`]: what is before the data, verified before it is believed.
//! * [`verify`], [`properties`]: read a payload to its end and write nothing.
//! * [`apply`]: does what a payload says, and goes on after a power cut; [`apply_patch`]: one patch.
//! * [`generate`], [`sign`]: make payloads.
//! * [`boot_control`]: which slot the boot loader starts.
//! * [`SlotsConfig`]: what a device's slots are.
//! * [`UpdateConfig`]: an update that somebody may choose on the device.
//! * [`Engine`]: the life of an update, from what is in its way to the day it is found well.
//!
//! Memory: metadata of at most 16 MiB as it is read, the data of one operation up to 8 MiB (more goes
//! to a file), and what decompressors ask for: each kind has a bound.

mod error;

pub mod boot_control;
mod config;
mod update_config;

mod source;
mod stream;

mod head;
mod trust;

mod blob;
mod blocks;
mod bspatch;
mod data;
mod decompress;
mod operation;
mod puff;

mod computed;
mod error_correction;
mod hash_tree;

mod checkpoint;
mod finish;
mod partition;
mod plan;

mod apply;
mod verify;

mod engine;

mod generate;
mod write;

pub use apply::{Applied, ApplyOptions, apply};
pub use blob::MAX_OPERATION_DATA;
pub use bspatch::apply_patch;
pub use checkpoint::Checkpoint;
pub use config::{
    BootControlConfig, BuildConfig, ConfigError, Postinstall, SlotName, SlotPartitions, SlotsConfig,
};
pub use engine::{
    Ask, ConfiguredUpdate, Engine, EngineStatus, ErrorCode, Headers, HttpSource, LastOverview,
    LogEntry, Obstacle, Outcome, Overview, Phase, SlotImage, SlotOverview, State, Update,
    UpdateProgress, UpdateRequest, UpdaterState, Written, without_password,
};
pub use error::{Error, Result, Unsupported, Untrusted};
pub use generate::{Device, GenerateOptions, Image, generate};
pub use head::Head;
pub use partition::{Mode, Places};
pub use plan::MAX_MINOR;
pub use source::{FileSource, Forward, Source};
pub use trust::Trust;
pub use update_config::{ByteRange, InstallType, ListedUpdate, MAX_UPDATE_CONFIG, UpdateConfig};
pub use verify::{Verified, properties, verify};
pub use write::{hashes_to_sign, sign};
