//! What can be wrong with a payload.

use updraft_error::{Classify, Kind};

/// Bytes that are no payload, or one that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first bytes are those of something else.
    #[error("read a payload: it does not begin with `CrAU`")]
    NotAPayload,
    /// It is of a version that nobody makes any more, or of one that is not known yet.
    #[error("read a payload: its major version is {0}, and only 2 is known")]
    MajorVersion(u64),
    /// Something is larger than any real one.
    #[error("read a payload: {what} has {size} bytes, and at most {limit} are read")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How many bytes it has.
        size: u64,
        /// How many are read.
        limit: u64,
    },
    /// There are more of something than in any real payload.
    #[error("read a payload: it has more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// It ends within something.
    #[error("read a payload: it ends within {0}")]
    Truncated(&'static str),
    /// Bytes are no message at all.
    #[error("read a payload: {0} is not of protobuf")]
    NoMessage(&'static str),
    /// The bytes of a message are not those of protobuf.
    #[error("read a payload: {what} is no such message")]
    Message {
        /// Which message.
        what: &'static str,
        /// What the library says.
        #[source]
        source: prost::DecodeError,
    },
    /// A field that every payload has is missing.
    #[error("read a payload: {place} has no {field}")]
    Missing {
        /// What it is missing in.
        place: String,
        /// Its name.
        field: &'static str,
    },
    /// A field has a value that no payload has.
    #[error("read a payload: {field} of {place} {problem}")]
    Field {
        /// What it is in.
        place: String,
        /// Its name.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A step cannot be done.
    #[error("read a payload: operation {index} of partition {partition}: {problem}")]
    Operation {
        /// The partition.
        partition: String,
        /// The operation, from 0.
        index: usize,
        /// What is wrong.
        problem: OperationProblem,
    },
    /// The text beside a payload is none.
    #[error("read the properties of a payload: {0}")]
    Properties(String),
    /// What a target says of its payload cannot be right.
    #[error("read what a target says of its payload: {0}")]
    Described(String),
    /// A zip file is damaged, or holds the payload in a way that nobody can stream.
    #[error("read an OTA package: {0}")]
    Package(&'static str),
    /// A package has no signature that anybody could verify.
    #[error("read the signature of an OTA package: {0}")]
    PackageSignature(&'static str),
    /// The text is not what recovery has its keys in.
    #[error("read keys of recovery: {0}")]
    RecoveryKeys(String),
    /// A bundle cannot be read.
    #[error("read bundle.json: {0}")]
    Bundle(String),
    /// A transfer list cannot be read.
    #[error("read a transfer list: line {line}: {problem}")]
    TransferList {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// What a partition says of the logical partitions on it cannot be right.
    #[error("read the table of logical partitions: {0}")]
    LogicalPartitions(String),
    /// What shall become of logical partitions cannot be read.
    #[error("read what becomes of logical partitions: line {line}: {problem}")]
    TableChange {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A script cannot be read.
    #[error("read updater-script: line {line}: {problem}")]
    Script {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Error {
    pub(crate) fn missing(place: impl Into<String>, field: &'static str) -> Self {
        Self::Missing { place: place.into(), field }
    }

    pub(crate) fn field(
        place: impl Into<String>,
        field: &'static str,
        problem: &'static str,
    ) -> Self {
        Self::Field { place: place.into(), field, problem }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::MajorVersion(_) => Kind::Unsupported,
            Self::Operation { problem, .. } if problem.is_dead() => Kind::Unsupported,
            Self::PackageSignature(_) => Kind::Rejected,
            _ => Kind::Invalid,
        }
    }
}

/// What is wrong with one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperationProblem {
    /// It is of a kind that nobody knows yet.
    #[error("its type {0} is not known")]
    UnknownKind(i32),
    /// It changes a partition in place, which a power cut would not survive.
    #[error("it changes a partition in place, as no payload of version 2 may")]
    InPlace,
    /// It needs data and names none.
    #[error("it has no data")]
    DataMissing,
    /// It has data and no use for it.
    #[error("it has data, and its type has no use for it")]
    DataUnwanted,
    /// Its data begins before that of the operation before ends.
    #[error(
        "its data at {found} does not follow that of the operation before, which ends at {end}"
    )]
    DataOrder {
        /// Where it begins.
        found: u64,
        /// Where that of the one before ends.
        end: u64,
    },
    /// Its data goes beyond the end, or into the signatures.
    #[error("its data ends beyond that of the payload")]
    DataBeyond,
    /// A hash is none of SHA-256.
    #[error("its {0} is none of SHA-256")]
    Hash(&'static str),
    /// It writes nothing.
    #[error("it writes no blocks")]
    NoDestination,
    /// It reads nothing although it should.
    #[error("it reads no blocks, and its type has to")]
    NoSource,
    /// It reads blocks although its type does not.
    #[error("it reads blocks, and its type has no use for them")]
    SourceUnwanted,
    /// It reads a partition that has no old content.
    #[error("it reads the old content of a partition that has none")]
    NoOldPartition,
    /// Blocks are outside the partition.
    #[error("its blocks {start}+{count} are outside the {blocks} blocks of the partition")]
    OutOfRange {
        /// The first block.
        start: u64,
        /// How many.
        count: u64,
        /// How many the partition has.
        blocks: u64,
    },
    /// An extent has no blocks.
    #[error("one of its extents is empty")]
    EmptyExtent,
    /// A block is written twice.
    #[error("block {0} is written twice")]
    Overlap(u64),
    /// It copies another number of blocks than it reads.
    #[error("it reads {from} blocks and writes {to}")]
    Unequal {
        /// How many it reads.
        from: u64,
        /// How many it writes.
        to: u64,
    },
    /// The length that it tells is not that of its blocks.
    #[error("its {0} is not that of its blocks")]
    Length(&'static str),
    /// Its raw data has more bytes than its blocks.
    #[error("its data is longer than its blocks")]
    TooMuchData,
}

impl OperationProblem {
    fn is_dead(&self) -> bool {
        matches!(self, Self::UnknownKind(_) | Self::InPlace)
    }
}
