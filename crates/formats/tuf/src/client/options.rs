//! What a client run is allowed to do, and its named limits.

use super::InstalledTarget;
use crate::Dialect;

/// Upper bounds on what a server can make a client do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one root file.
    pub root_length: u64,
    /// Bytes of a timestamp.
    pub timestamp_length: u64,
    /// Bytes of a snapshot.
    pub snapshot_length: u64,
    /// Bytes of a targets file of the Image repository, top-level or delegated.
    pub targets_length: u64,
    /// Bytes of the Director's targets.
    pub director_targets_length: u64,
    /// New roots in one run; the rest waits for the next run.
    pub root_rotations: u32,
    /// Targets roles visited on the way to one target.
    pub delegations: usize,
}

impl Default for Limits {
    /// What aktualizr allows where it has a limit, with room for larger roots.
    fn default() -> Self {
        Self {
            root_length: 512 << 10,
            timestamp_length: 64 << 10,
            snapshot_length: 8 << 20,
            targets_length: 8 << 20,
            director_targets_length: 256 << 10,
            // A chain takes the memory of two roots however long it is; only time bounds it.
            root_rotations: 65_536,
            delegations: 32,
        }
    }
}

/// What to do when no root is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstRoot {
    /// Refuse: a root must have come with the device or its credentials.
    #[default]
    Pinned,
    /// Fetch `1.root.json` and trust it, as aktualizr does.
    TrustOnFirstUse,
}

/// Which files the Director serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectorFiles {
    /// Root, timestamp, snapshot and targets, as the Uptane standard demands.
    #[default]
    All,
    /// Root and targets only, as Directors of the aktualizr world may.
    RootAndTargets,
}

/// How much of the metadata an ECU checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// All roles of both repositories, which must agree (Uptane 2.1.0, full verification).
    #[default]
    Full,
    /// The Director's root and targets, for Secondaries that can do no more (U-PV). What the
    /// Director assigns is believed; the Image repository is not asked.
    Partial,
}

/// What to think of an ECU in the Director's targets that is not among the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherEcus {
    /// The targets are refused: a Primary knows all ECUs of its vehicle.
    #[default]
    Refuse,
    /// Not our business: a Secondary knows itself only. No ECU may be named twice all the same.
    Ignore,
}

/// What to think of images that are encrypted for one ECU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncryptedImages {
    /// They are refused by the name `encrypted-image`, before anything is fetched or written.
    #[default]
    Refuse,
    /// Their target tells of the ciphertext and its key in `UptaneTarget::encrypted`.
    Accept,
}

/// What to think of empty Director targets that name no vehicle (U-M7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyTargets {
    /// They are refused, as the standard wants it, where `Options::vehicle_id` is known.
    #[default]
    MustNameVehicle,
    /// They are accepted, for Directors of the aktualizr world, which never name one. A Director
    /// whose trusted targets did name a vehicle must go on to do so.
    MayBeAnonymous,
}

/// How a client run behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The wire form of all files.
    pub dialect: Dialect,
    /// Upper bounds.
    pub limits: Limits,
    /// What to do when no root is stored.
    pub first_root: FirstRoot,
    /// Which files the Director serves.
    pub director: DirectorFiles,
    /// This vehicle's (device's) id; Director targets that name another one are refused.
    pub vehicle_id: Option<String>,
    /// How much of the metadata is checked.
    pub verification: Verification,
    /// What to think of unknown ECUs in the Director's targets.
    pub other_ecus: OtherEcus,
    /// What to think of encrypted images.
    pub encrypted_images: EncryptedImages,
    /// What to think of empty Director targets without a vehicle id.
    pub empty_targets: EmptyTargets,
    /// What each ECU runs now. Targets that are installed already need no Image repository.
    pub installed: Vec<InstalledTarget>,
}

impl Options {
    /// The strictest behaviour, with default limits.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            limits: Limits::default(),
            first_root: FirstRoot::default(),
            director: DirectorFiles::default(),
            vehicle_id: None,
            verification: Verification::default(),
            other_ecus: OtherEcus::default(),
            encrypted_images: EncryptedImages::default(),
            empty_targets: EmptyTargets::default(),
            installed: Vec::new(),
        }
    }
}
