//! TUF and Uptane metadata: reading, writing, and verification as state machines.
//!
//! One core serves two [`Dialect`]s: the pure TUF 1.0 specification, and the form that devices
//! of the Uptane world (aktualizr) read. Nothing here does input or output, and nothing here
//! reads a clock. Bytes come in, and either a [`Verified`] value or a [`Refusal`] goes out.
//!
//! - [`json`] and [`canonical`] read JSON strictly and write the bytes that signatures cover;
//! - [`PublicKey`], [`KeyId`], [`Envelope`] are keys and signatures on the wire;
//! - [`Root`], [`Targets`], [`Snapshot`], [`Timestamp`] are the role files;
//! - [`TufUpdater`] and [`UptaneUpdater`] say which file they need next, are fed its bytes, and
//!   say which bytes to persist;
//! - [`RepositoryMap`] says which repositories must agree on a path; [`TimeAuthority`] and
//!   [`SecureClock`] are signed time;
//! - [`manifest`] is what a vehicle reports back.

pub mod canonical;
mod client;
mod dialect;
mod envelope;
mod error;
mod fields;
mod hashes;
pub mod json;
mod key;
pub mod manifest;
mod map;
mod metadata;
mod pattern;
mod pem;
mod refusal;
mod spki;
mod time_attestation;
mod verify;

pub use client::{
    DirectorFiles, Ecu, EmptyTargets, EncryptedImage, EncryptedImages, FirstRoot, InstalledTarget,
    Limits, Options, OtherEcus, Outcome, RoleFiles, Step, TargetFormat, TrustedMetadata,
    TufOutcome, TufTarget, TufUpdater, UptaneTarget, UptaneUpdater, Verification,
};
pub use dialect::{Dialect, format_time, parse_time};
pub use envelope::{Envelope, Sign, Signature, SigningFailed};
pub use error::FormatError;
pub use hashes::{Hashes, sha256_hex};
pub use key::{Key, KeyId, KeyType, PublicKey};
pub use map::{MAX_MAP, MapSearch, MapStep, Mapping, RepositoryMap};
pub use metadata::{
    Agreement, DelegatedPaths, DelegatedRole, Delegations, FileMeta, Header, InstallOrder,
    OfflineSnapshot, OfflineUpdates, Payload, RoleKeys, RoleName, Root, Snapshot, SuccinctRoles,
    Target, Targets, Timestamp,
};
pub use pattern::{Separator, matches as pattern_matches};
pub use pem::{pem_decode, pem_encode};
pub use refusal::{Reason, Refusal, Repository};
pub use time_attestation::{
    MAX_TIME_ATTESTATION, SecureClock, TIME_SERVER_ROLE, TimeAttestation, TimeAuthority,
};
pub use verify::{Verified, VerifySignature, check_threshold};
