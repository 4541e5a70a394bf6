//! The protobuf messages of a payload, field by field (AOSP, `update_engine/update_metadata.proto`,
//! proto2). Fields that may be absent are `Option`, also those that the schema calls required: their
//! absence is [`Manifest`](crate::Manifest)'s to name.

use crate::lossless::{Known, Lossless};

/// What a payload does, all of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaArchiveManifest {
    /// Bytes in a block; 4096 if absent.
    #[prost(uint32, optional, tag = "3")]
    pub block_size: Option<u32>,
    /// Where the payload's signatures begin, from the first byte of data on.
    #[prost(uint64, optional, tag = "4")]
    pub signatures_offset: Option<u64>,
    /// How many bytes they have.
    #[prost(uint64, optional, tag = "5")]
    pub signatures_size: Option<u64>,
    /// Which operations there may be; 0 for a full payload.
    #[prost(uint32, optional, tag = "12")]
    pub minor_version: Option<u32>,
    /// What becomes of each partition.
    #[prost(message, repeated, tag = "13")]
    pub partitions: Vec<Lossless<PartitionUpdate>>,
    /// The time of the build, in seconds since 1970.
    #[prost(int64, optional, tag = "14")]
    pub max_timestamp: Option<i64>,
    /// How partitions lie in a super partition.
    #[prost(message, optional, tag = "15")]
    pub dynamic_partition_metadata: Option<Lossless<DynamicPartitionMetadata>>,
    /// Whether partitions that are not named stay as they are.
    #[prost(bool, optional, tag = "16")]
    pub partial_update: Option<bool>,
    /// APEX packages that have to be unpacked.
    #[prost(message, repeated, tag = "17")]
    pub apex_info: Vec<Lossless<ApexInfo>>,
    /// The security patch level of the build.
    #[prost(string, optional, tag = "18")]
    pub security_patch_level: Option<String>,
}

impl Known for DeltaArchiveManifest {
    const TAGS: &'static [u32] = &[3, 4, 5, 12, 13, 14, 15, 16, 17, 18];
}

/// What becomes of one partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartitionUpdate {
    /// Its name without the suffix of a slot.
    #[prost(string, optional, tag = "1")]
    pub partition_name: Option<String>,
    /// Whether a program of it is run afterwards.
    #[prost(bool, optional, tag = "2")]
    pub run_postinstall: Option<bool>,
    /// Which, relative to its root.
    #[prost(string, optional, tag = "3")]
    pub postinstall_path: Option<String>,
    /// How it is mounted for that.
    #[prost(string, optional, tag = "4")]
    pub filesystem_type: Option<String>,
    /// Signatures of the new content.
    #[prost(message, repeated, tag = "5")]
    pub new_partition_signature: Vec<Lossless<Signature>>,
    /// What it has to hold before.
    #[prost(message, optional, tag = "6")]
    pub old_partition_info: Option<Lossless<PartitionInfo>>,
    /// What it holds afterwards.
    #[prost(message, optional, tag = "7")]
    pub new_partition_info: Option<Lossless<PartitionInfo>>,
    /// The steps.
    #[prost(message, repeated, tag = "8")]
    pub operations: Vec<Lossless<InstallOperation>>,
    /// Whether the update is good even if that program fails.
    #[prost(bool, optional, tag = "9")]
    pub postinstall_optional: Option<bool>,
    /// What the hash tree is about.
    #[prost(message, optional, tag = "10")]
    pub hash_tree_data_extent: Option<Lossless<ExtentMessage>>,
    /// Where the device has to put the hash tree that it makes.
    #[prost(message, optional, tag = "11")]
    pub hash_tree_extent: Option<Lossless<ExtentMessage>>,
    /// With which hash.
    #[prost(string, optional, tag = "12")]
    pub hash_tree_algorithm: Option<String>,
    /// With which salt.
    #[prost(bytes = "vec", optional, tag = "13")]
    pub hash_tree_salt: Option<Vec<u8>>,
    /// What the error correction is about.
    #[prost(message, optional, tag = "14")]
    pub fec_data_extent: Option<Lossless<ExtentMessage>>,
    /// Where the device has to put the error correction that it makes.
    #[prost(message, optional, tag = "15")]
    pub fec_extent: Option<Lossless<ExtentMessage>>,
    /// Bytes of error correction in each 255; 2 if absent.
    #[prost(uint32, optional, tag = "16")]
    pub fec_roots: Option<u32>,
    /// The version of its content, against downgrades.
    #[prost(string, optional, tag = "17")]
    pub version: Option<String>,
    /// How a snapshot is merged.
    #[prost(message, repeated, tag = "18")]
    pub merge_operations: Vec<Lossless<CowMergeOperation>>,
    /// How large a snapshot will be.
    #[prost(uint64, optional, tag = "19")]
    pub estimate_cow_size: Option<u64>,
    /// How many operations it will have.
    #[prost(uint64, optional, tag = "20")]
    pub estimate_op_count_max: Option<u64>,
}

impl Known for PartitionUpdate {
    const TAGS: &'static [u32] =
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
}

/// The size and the hash of a partition's content.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartitionInfo {
    /// In bytes.
    #[prost(uint64, optional, tag = "1")]
    pub size: Option<u64>,
    /// SHA-256.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub hash: Option<Vec<u8>>,
}

impl Known for PartitionInfo {
    const TAGS: &'static [u32] = &[1, 2];
}

/// Blocks that lie side by side.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExtentMessage {
    /// The first one.
    #[prost(uint64, optional, tag = "1")]
    pub start_block: Option<u64>,
    /// How many.
    #[prost(uint64, optional, tag = "2")]
    pub num_blocks: Option<u64>,
}

impl Known for ExtentMessage {
    const TAGS: &'static [u32] = &[1, 2];
}

/// One step.
#[derive(Clone, PartialEq, prost::Message)]
pub struct InstallOperation {
    /// What is done: a number of [`OperationKind`](crate::OperationKind).
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// Where its data begins.
    #[prost(uint64, optional, tag = "2")]
    pub data_offset: Option<u64>,
    /// How many bytes it has.
    #[prost(uint64, optional, tag = "3")]
    pub data_length: Option<u64>,
    /// The blocks of the old partition that it reads.
    #[prost(message, repeated, tag = "4")]
    pub src_extents: Vec<Lossless<ExtentMessage>>,
    /// How many bytes of them.
    #[prost(uint64, optional, tag = "5")]
    pub src_length: Option<u64>,
    /// The blocks of the new partition that it writes.
    #[prost(message, repeated, tag = "6")]
    pub dst_extents: Vec<Lossless<ExtentMessage>>,
    /// How many bytes of them.
    #[prost(uint64, optional, tag = "7")]
    pub dst_length: Option<u64>,
    /// SHA-256 of its data.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub data_sha256_hash: Option<Vec<u8>>,
    /// SHA-256 of the blocks that it reads.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub src_sha256_hash: Option<Vec<u8>>,
}

impl Known for InstallOperation {
    const TAGS: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9];
}

/// A step of merging a snapshot.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CowMergeOperation {
    /// 0 copy, 1 exclusive or, 2 replace.
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// The blocks that it reads.
    #[prost(message, optional, tag = "2")]
    pub src_extent: Option<Lossless<ExtentMessage>>,
    /// The blocks that it writes.
    #[prost(message, optional, tag = "3")]
    pub dst_extent: Option<Lossless<ExtentMessage>>,
    /// Where in the first block it begins to read.
    #[prost(uint32, optional, tag = "4")]
    pub src_offset: Option<u32>,
}

impl Known for CowMergeOperation {
    const TAGS: &'static [u32] = &[1, 2, 3, 4];
}

/// How partitions lie in a super partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DynamicPartitionMetadata {
    /// Partitions that share room.
    #[prost(message, repeated, tag = "1")]
    pub groups: Vec<Lossless<DynamicPartitionGroup>>,
    /// Whether the update may be written to snapshots.
    #[prost(bool, optional, tag = "2")]
    pub snapshot_enabled: Option<bool>,
    /// Whether these may be compressed.
    #[prost(bool, optional, tag = "3")]
    pub vabc_enabled: Option<bool>,
    /// With what.
    #[prost(string, optional, tag = "4")]
    pub vabc_compression_param: Option<String>,
    /// The version of their format.
    #[prost(uint32, optional, tag = "5")]
    pub cow_version: Option<u32>,
    /// What their writer may do.
    #[prost(message, optional, tag = "6")]
    pub vabc_feature_set: Option<Lossless<VabcFeatureSet>>,
    /// How many bytes are compressed at a time.
    #[prost(uint64, optional, tag = "7")]
    pub compression_factor: Option<u64>,
    /// Whether ublk may not be used for them.
    #[prost(bool, optional, tag = "8")]
    pub disable_ublk: Option<bool>,
}

impl Known for DynamicPartitionMetadata {
    const TAGS: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8];
}

/// Partitions that share room.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DynamicPartitionGroup {
    /// The group's name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// How much room, in bytes.
    #[prost(uint64, optional, tag = "2")]
    pub size: Option<u64>,
    /// The partitions.
    #[prost(string, repeated, tag = "3")]
    pub partition_names: Vec<String>,
}

impl Known for DynamicPartitionGroup {
    const TAGS: &'static [u32] = &[1, 2, 3];
}

/// What the writer of snapshots may do.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VabcFeatureSet {
    /// Several threads.
    #[prost(bool, optional, tag = "1")]
    pub threaded: Option<bool>,
    /// Several blocks at a time.
    #[prost(bool, optional, tag = "2")]
    pub batch_writes: Option<bool>,
}

impl Known for VabcFeatureSet {
    const TAGS: &'static [u32] = &[1, 2];
}

/// An APEX package.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ApexInfo {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub package_name: Option<String>,
    /// Its version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
    /// Whether it is compressed.
    #[prost(bool, optional, tag = "3")]
    pub is_compressed: Option<bool>,
    /// How large it is when it is not.
    #[prost(int64, optional, tag = "4")]
    pub decompressed_size: Option<i64>,
}

impl Known for ApexInfo {
    const TAGS: &'static [u32] = &[1, 2, 3, 4];
}

/// Several signatures of the same bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SignaturesMessage {
    /// Each by another key.
    #[prost(message, repeated, tag = "1")]
    pub signatures: Vec<Lossless<Signature>>,
}

impl Known for SignaturesMessage {
    const TAGS: &'static [u32] = &[1];
}

/// One signature.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Signature {
    /// Once told keys apart; old payloads have 1.
    #[prost(uint32, optional, tag = "1")]
    pub version: Option<u32>,
    /// The signature, with zeros after it up to the longest that its key makes.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub data: Option<Vec<u8>>,
    /// How long it is without those.
    #[prost(fixed32, optional, tag = "3")]
    pub unpadded_signature_size: Option<u32>,
}

impl Known for Signature {
    const TAGS: &'static [u32] = &[1, 2, 3];
}
