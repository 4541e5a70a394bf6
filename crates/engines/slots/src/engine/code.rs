//! [`ErrorCode`]: why an update failed, by the numbers of Android's `update_engine`, with the cause
//! and the way out in words. (AOSP, `update_engine/common/error_code.h`.)

use std::io;

use updraft_error::{Classify as _, Kind};

use crate::{Error, Unsupported, Untrusted};

/// A number of Android's `update_engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorCode(pub u32);

/// From here on it is a status of HTTP.
const HTTP: u32 = 2000;

/// Number, name, cause, and what to do.
type Row = (u32, &'static str, &'static str, &'static str);

const TABLE: &[Row] = &[
    (0, "Success", "the update was applied", "restart to run it"),
    (1, "Error", "something failed that has no code", "read the message"),
    (
        5,
        "PostinstallRunnerError",
        "a program of the payload failed, or the boot loader could not be told of the new slot",
        "read the message; check the boot-control section of slots.toml, then apply again",
    ),
    (
        6,
        "PayloadMismatchedType",
        "the payload leaves out partitions of the slot",
        "use a payload with all partitions",
    ),
    (
        7,
        "InstallDeviceOpenError",
        "a partition could not be opened",
        "check the partitions in slots.toml, and that nothing has the target mounted",
    ),
    (
        9,
        "DownloadTransferError",
        "the payload could not be read to its end",
        "check the network and apply again: it goes on where it was",
    ),
    (
        10,
        "PayloadHashMismatchError",
        "the payload is not the one that its FILE_HASH is about",
        "give the properties of this very payload, or fetch it anew",
    ),
    (
        11,
        "PayloadSizeMismatchError",
        "the payload has another size than was told",
        "give the right offset and size, or the properties of this very payload",
    ),
    (
        14,
        "DownloadWriteError",
        "the target could not be written",
        "look for errors of its disk in the kernel's log",
    ),
    (
        15,
        "NewRootfsVerificationError",
        "what was written is not what the payload says",
        "apply again; when it fails again, the disk or the payload is faulty",
    ),
    (
        17,
        "SignedDeltaPayloadExpectedError",
        "the payload is not signed as a whole",
        "sign it: `updraft payload sign`",
    ),
    (
        18,
        "DownloadPayloadPubKeyVerificationError",
        "no signature of the payload is by a trusted key",
        "sign it with a key of which slots.toml names the public part",
    ),
    (
        19,
        "PostinstallBootedFromFirmwareB",
        "a program of the payload wants the device restarted first",
        "restart, and apply again",
    ),
    (
        20,
        "DownloadStateInitializationError",
        "the running slot is not what the delta was made for",
        "use a full payload, or a delta from what runs; a slot that was ever mounted writable has changed",
    ),
    (21, "DownloadInvalidMetadataMagicString", "this is no payload", "check address and offset"),
    (23, "DownloadManifestParseError", "the payload is malformed", "make it anew"),
    (
        26,
        "DownloadMetadataSignatureMismatch",
        "the payload's metadata is not what a trusted key signed",
        "sign it with a key of which slots.toml names the public part, or fetch it anew",
    ),
    (
        28,
        "DownloadOperationExecutionError",
        "an operation of the payload cannot be done",
        "make the payload anew",
    ),
    (29, "DownloadOperationHashMismatch", "data was damaged on its way", "apply again"),
    (
        32,
        "DownloadInvalidMetadataSize",
        "the metadata has another size than METADATA_SIZE",
        "give the properties of this very payload",
    ),
    (
        38,
        "DownloadOperationHashMissingError",
        "an operation has no hash of its data",
        "make the payload with hashes",
    ),
    (
        39,
        "DownloadMetadataSignatureMissingError",
        "the payload's metadata is not signed",
        "sign it: `updraft payload sign`",
    ),
    (
        44,
        "UnsupportedMajorPayloadVersion",
        "the payload is of a major version other than 2",
        "make it anew",
    ),
    (
        40,
        "OmahaUpdateDeferredForBackoff",
        "the device does not want an update now",
        "try again later",
    ),
    (
        41,
        "PostinstallPowerwashError",
        "the user's data cannot be removed as POWERWASH asks",
        "read the message; see what `powerwash` in slots.toml does, or leave POWERWASH out",
    ),
    (
        43,
        "PostinstallFirmwareRONotUpdatable",
        "a program of the payload found firmware that cannot be updated",
        "read the message",
    ),
    (
        45,
        "UnsupportedMinorPayloadVersion",
        "the payload has operations that this version does not know",
        "make a full payload, or one with an older minor version",
    ),
    (48, "UserCanceled", "somebody cancelled it", "apply again: it goes on where it was"),
    (
        51,
        "PayloadTimestampError",
        "the payload is older than what runs",
        "use a newer one; going back on purpose is a matter of the boot loader's other slot",
    ),
    (
        52,
        "UpdatedButNotActive",
        "the update was applied, and the slot is not active yet",
        "`updraft slots switch` when it is to be started",
    ),
    (
        54,
        "RollbackNotPossible",
        "the other slot holds nothing that can be started",
        "apply an update",
    ),
    (
        56,
        "VerityCalculationError",
        "a hash tree or error correction cannot be computed",
        "make the payload with them",
    ),
    (
        60,
        "NotEnoughSpace",
        "a partition or the state folder is too small",
        "make room, or a smaller image",
    ),
    (
        63,
        "PostInstallMountError",
        "a partition with a program to run cannot be mounted",
        "read the message; the kernel has to know its file system",
    ),
    (
        65,
        "UpdateProcessing",
        "another update is being applied",
        "wait for it, or end it: `updraft slots cancel`",
    ),
    (
        66,
        "UpdateAlreadyInstalled",
        "an update waits for a restart",
        "restart, or take it back: `updraft slots reset`",
    ),
    (
        10_000,
        "RolledBack",
        "the new slot did not start, or was not found well, and was given up",
        "look at its log; the old system runs, and nothing else is to be done",
    ),
];

impl ErrorCode {
    /// An update was applied and is started next.
    pub const SUCCESS: Self = Self(0);
    /// An update was applied and is not to be started yet.
    pub const UPDATED_BUT_NOT_ACTIVE: Self = Self(52);

    /// A new slot was given up. Android has no code for that and just is idle.
    pub const ROLLED_BACK: Self = Self(10_000);

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.0 == self.0)
    }

    fn is_http(self) -> bool {
        (HTTP..HTTP + 1000).contains(&self.0)
    }

    /// Whether nothing went wrong: the update was applied, or somebody wanted it to end.
    #[must_use]
    pub fn is_good_end(self) -> bool {
        matches!(self.0, 0 | 48 | 52)
    }

    /// The name that Android has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or(if self.is_http() { "HttpError" } else { "Error" }, |row| row.1)
    }

    /// What it means.
    #[must_use]
    pub fn cause(self) -> &'static str {
        let other = if self.is_http() { "the server refused" } else { "something failed" };
        self.row().map_or(other, |row| row.2)
    }

    /// What to do.
    #[must_use]
    pub fn cure(self) -> &'static str {
        self.row().map_or("read the message", |row| row.3)
    }

    /// The code of an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self(match error {
            Error::Cancelled(_) => 48,
            Error::Busy => 65,
            Error::Refused(obstacles) => obstacles.first().map_or(1, |first| first.code.0),
            Error::Payload(error) => of_payload(error),
            Error::Untrusted(reason) => of_untrusted(*reason),
            Error::Unsupported(Unsupported::Computed { .. }) => 56,
            Error::Unsupported(_) => 45,
            Error::Data { .. } => 29,
            Error::Source { .. } => 20,
            Error::Operation { .. } => 28,
            Error::Result { .. } => 15,
            Error::Program { code, .. } => *code,
            Error::Read { source, .. } => of_read(source),
            Error::NoWayBack { .. } => 9,
            Error::File { action: "write" | "make durable", .. } => 14,
            Error::File { action: "open", .. } | Error::Partition { .. }
                if error.kind() != Kind::Exhausted =>
            {
                7
            }
            Error::BootControl { .. } | Error::BootEnvironment { .. } => 5,
            error if error.kind() == Kind::Exhausted => 60,
            _ => 1,
        })
    }
}

fn of_payload(error: &updraft_payload::Error) -> u32 {
    match error {
        updraft_payload::Error::NotAPayload | updraft_payload::Error::Package(_) => 21,
        updraft_payload::Error::MajorVersion(_) => 44,
        updraft_payload::Error::Truncated(_) => 11,
        _ => 23,
    }
}

const fn of_untrusted(reason: Untrusted) -> u32 {
    match reason {
        Untrusted::MetadataUnsigned => 39,
        Untrusted::MetadataSignature | Untrusted::MetadataHash => 26,
        Untrusted::MetadataSize => 32,
        Untrusted::Unsigned => 17,
        Untrusted::Signature => 18,
        Untrusted::Size | Untrusted::Trailing => 11,
        Untrusted::Hash => 10,
        Untrusted::NoDataHash => 38,
    }
}

fn of_read(source: &io::Error) -> u32 {
    let http = source.get_ref().and_then(|inner| inner.downcast_ref::<updraft_http::Error>());
    http.and_then(updraft_http::Error::status).map_or(9, |status| HTTP + u32::from(status))
}
