//! `payload.bin`, Android's format of an update for a slot: what becomes of each partition, step by
//! step, the data for that, and signatures of both.
//!
//! Bytes in, types out. What is received is what is hashed and signed, and nothing here writes
//! it again; whoever makes payloads writes the [`messages`].
//!
//! * [`Header`]: where things are.
//! * [`Manifest`]: partitions and their [`Operation`]s, checked as a whole: data follows data,
//!   extents lie within their partitions, no block is written twice.
//! * [`PuffPatch`]: what of an operation's data says which content is compressed.
//! * [`Signatures`]: those of the metadata, and those of the whole.
//! * [`Properties`]: what `payload_properties.txt` says.
//! * [`DescribedPayload`]: what a signed target says of a payload.
//! * [`StoredEntry`], [`find_directory`]: where `payload.bin` is in an OTA package; [`entries`]: what
//!   else is in it.
//! * [`WholeFileSignature`]: the signature in a package's last bytes; [`RecoveryKey`]: keys for it as
//!   `/res/keys` has them.
//! * [`BlockMap`]: where a package lies on a device whose file system nobody can read.
//! * [`OtaMetadata`], [`PropertyFile`]: what a package says of itself.
//! * [`script`], [`transfer_list`], [`RangeSet`]: what recovery does with a package that has no payload;
//!   [`bundle`]: the same without a script.
//! * [`logical_partitions`]: what of the partition `super` belongs to which logical partition, and what a
//!   package makes of that.
//! * [`messages`]: all fields, for whoever writes them; [`Lossless`] keeps those that are not known.
//!
//! (AOSP, `system/update_engine`.)

mod error;

mod fields;
mod header;
mod lossless;
pub mod messages;
mod weight;

mod manifest;
mod operation;
mod puffin;
mod signatures;

mod block_map;
mod entries;
mod package;
mod properties;

pub mod described;

mod ota_metadata;
mod recovery_keys;
mod whole_file;

pub mod bundle;
pub mod logical_partitions;
mod range_set;
pub mod script;
pub mod transfer_list;

pub use block_map::{BlockMap, MAX_BLOCK_MAP};
pub use described::DescribedPayload;
pub use entries::{Entry, Packing, entries};
pub use error::{Error, OperationProblem};
pub use header::{Header, MAX_MANIFEST, MAX_SIGNATURES};
pub use lossless::{Known, Lossless};
pub use manifest::{Content, Manifest, Partition};
pub use operation::{Data, Extent, Operation, OperationKind};
pub use ota_metadata::{
    DeviceState, MAX_METADATA, METADATA_NAME, METADATA_PB_NAME, OtaMetadata, OtaType, PropertyFile,
};
pub use package::{
    LOCAL_HEADER, MAX_DIRECTORY, PACKAGE_TAIL, StoredEntry, comment_length, find_directory,
};
pub use properties::Properties;
pub use puffin::{PuffPatch, PuffPiece, PuffStream};
pub use range_set::RangeSet;
pub use recovery_keys::{RecoveryKey, SigningHash};
pub use signatures::Signatures;
pub use weight::{MAX_EXTENTS, MAX_OPERATIONS, MAX_PARTITIONS};
pub use whole_file::{PACKAGE_END, WholeFileSignature, package_comment};

/// The protobuf library whose trait writes and reads the [`messages`].
pub use prost;
