//! The messages between a primary ECU and its IP secondaries, as aktualizr speaks them.
//!
//! One message each way for every request: the ASN.1 CHOICE `AKIpUptaneMes`, written in DER and
//! read as BER. Nothing here does input or output: [`Framer`] finds the end of a message in what
//! has arrived, [`Message`] is read and written.
//!
//! ```text
//! AKIpUptaneMes ::= CHOICE { name [N] EXPLICIT SEQUENCE { fields…, ... } }
//!   0/1   getInfo            – / serial, hardware id, key type, key
//!   2/3   manifest           – / JSON
//!   4/5   putMeta (v1)       image{root, timestamp, snapshot, targets}, director{root, targets} / result
//!   6/7   sendFirmware (v1)  firmware / result
//!   8/9   install            hash / code (v1)
//!   10/11 uploadData         data / code, description
//!   12/13 downloadOstreeRev  credentials / code, description
//!   14/15 putMeta2           image[role, JSON], director[role, JSON] / code, description
//!   16    installResp2       code, description
//!   17/18 version            version / version
//!   19/20 rootVer            repository / version
//!   21/22 putRoot            repository, JSON / code, description
//!   23    takeCommit (v4, ours) –
//!   24/25 object  (v4, ours) path, offset / piece; the secondary asks
//!   27/28 revert  (v3, ours) – / code, description
//!   29/30 confirm (v3, ours) – / code, description
//! ```
//! In version 3 the Director's files of `putMeta2` may be those of a medium: `root`,
//! `offline-snapshot` and `offline-updates`; in version 4 also for secondaries that do not verify
//! both repositories. One that verifies the Image repository alone learns from them that there is a
//! medium, and believes nothing else of them.
//!
//! In version 4 a primary can bring a commit that no server has. The parts are exchanged for a while:
//!
//! ```text
//! primary    takeCommitReq                          downloadOstreeRevReq's other form
//! secondary  objectReq path, offset   ┐ for every object that it lacks, piece by piece;
//! primary    objectResp piece         ┘ each is given once
//! secondary  downloadOstreeRevResp code, description
//! ```
//!
//! Tags are explicit, every SEQUENCE and ENUMERATED may be extended: fields that follow the known
//! ones are passed over, and numbers that are not known are kept.

mod credentials;
mod error;
mod frame;
mod message;
mod tlv;
mod values;

pub use credentials::OstreeCredentials;
pub use error::Error;
pub use frame::{Framer, Progress};
pub use message::Message;
pub use values::{
    EcuInfo, KeyKind, LegacyMetadata, LegacyResult, Outcome, Piece, RepositoryKind, ResultCode,
    RoleFile,
};

/// The newest version of the protocol that aktualizr knows.
pub const VERSION_2: i64 = 2;
/// Version 2 with `revert` and `confirm`, which only Updraft speaks.
pub const VERSION_3: i64 = 3;
/// Version 3 with media for every verification, and commits that the primary brings itself.
pub const VERSION_4: i64 = 4;
/// The most bytes of one piece of an object.
pub const MAX_PIECE: usize = 256 << 10;
/// The largest answer of a secondary that is read, in bytes: a manifest with room to spare.
pub const MAX_ANSWER: usize = 1 << 20;
/// The largest request that a secondary reads, in bytes: all metadata, or firmware of version 1.
pub const MAX_REQUEST: usize = 64 << 20;
