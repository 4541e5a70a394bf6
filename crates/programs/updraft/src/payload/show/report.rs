//! What `updraft payload show` says, as JSON has it.

use std::collections::BTreeMap;

use serde::Serialize;
use updraft_payload::{Content, Manifest, Signatures};
use updraft_slots::Head;

/// A payload.
#[derive(Serialize)]
pub(super) struct Report {
    /// `full`, `delta`, or `partial` where partitions that are not named stay as they are.
    pub(super) kind: &'static str,
    pub(super) minor_version: u32,
    pub(super) block_size: u32,
    pub(super) size: u64,
    pub(super) metadata_size: u64,
    pub(super) metadata_sha256: String,
    /// How many bytes each of them has.
    pub(super) metadata_signatures: Vec<usize>,
    pub(super) payload_signatures_size: u64,
    /// In seconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) time: Option<String>,
    pub(super) security_patch_level: Option<String>,
    pub(super) partitions: Vec<Partition>,
    pub(super) dynamic_partitions: Option<DynamicPartitions>,
    pub(super) apex: Vec<Apex>,
}

/// One of its partitions.
#[derive(Serialize)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) old: Option<ContentReport>,
    pub(super) new: Option<ContentReport>,
    pub(super) version: Option<String>,
    /// By their kind.
    pub(super) operations: BTreeMap<&'static str, Sum>,
    /// The program that is run afterwards.
    pub(super) postinstall: Option<String>,
    pub(super) postinstall_optional: bool,
    /// What the device has to compute by itself.
    pub(super) computed: Vec<&'static str>,
    pub(super) merge_operations: usize,
    pub(super) estimated_snapshot_size: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct ContentReport {
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Operations of one kind.
#[derive(Default, Serialize)]
pub(super) struct Sum {
    pub(super) count: usize,
    /// Bytes of new content.
    pub(super) writes: u64,
    /// Bytes of data.
    pub(super) data: u64,
}

#[derive(Serialize)]
pub(super) struct DynamicPartitions {
    pub(super) groups: Vec<Group>,
    pub(super) snapshots: bool,
    pub(super) snapshot_compression: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) partitions: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Apex {
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) compressed: bool,
}

impl Report {
    pub(super) fn of(head: &Head) -> Self {
        let Head { header, manifest, metadata_sha256, metadata_signatures } = head;
        let about = &manifest.about;
        // Signatures that cannot be read are for `verify` to complain of.
        let signatures = Signatures::parse(metadata_signatures, "the signature of the metadata");
        let signatures = signatures.map(|all| all.iter().map(<[u8]>::len).collect());
        let time = about.max_timestamp.filter(|seconds| *seconds != 0);
        let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        let kind = match (manifest.is_full(), about.partial_update) {
            (_, Some(true)) => "partial",
            (true, _) => "full",
            (false, _) => "delta",
        };
        Self {
            kind,
            minor_version: manifest.minor_version,
            block_size: manifest.block_size,
            size: head.payload_size(),
            metadata_size: header.metadata_size(),
            metadata_sha256: hex::encode(metadata_sha256),
            metadata_signatures: signatures.unwrap_or_default(),
            payload_signatures_size: manifest.signatures_size,
            timestamp: about.max_timestamp,
            time: time.map(crate::text::time),
            security_patch_level: about.security_patch_level.clone(),
            partitions: partitions(manifest),
            dynamic_partitions: about.dynamic_partition_metadata.as_deref().map(dynamic),
            apex: about.apex_info.iter().map(|apex| apex_report(apex)).collect(),
        }
    }
}

fn partitions(manifest: &Manifest) -> Vec<Partition> {
    let block_size = u64::from(manifest.block_size);
    let mut reports = Vec::new();
    for partition in &manifest.partitions {
        let mut operations: BTreeMap<&'static str, Sum> = BTreeMap::new();
        for operation in &partition.operations {
            let sum = operations.entry(operation.kind.name()).or_default();
            sum.count += 1;
            sum.writes += operation.destination_blocks() * block_size;
            sum.data += operation.data.map_or(0, |data| data.length);
        }
        let about = &partition.about;
        let program = about.postinstall_path.as_deref().unwrap_or("postinst");
        let runs = about.run_postinstall.unwrap_or(false);
        let computed = [
            (about.hash_tree_extent.is_some(), "hash tree"),
            (about.fec_extent.is_some(), "error correction"),
        ];
        reports.push(Partition {
            name: partition.name.clone(),
            old: partition.old.as_ref().map(content),
            new: Some(content(&partition.new)),
            version: about.version.clone(),
            operations,
            postinstall: runs.then(|| program.to_owned()),
            postinstall_optional: about.postinstall_optional.unwrap_or(false),
            computed: computed.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect(),
            merge_operations: about.merge_operations.len(),
            estimated_snapshot_size: about.estimate_cow_size,
        });
    }
    reports
}

fn content(content: &Content) -> ContentReport {
    ContentReport { size: content.size, sha256: hex::encode(content.sha256) }
}

fn dynamic(about: &updraft_payload::messages::DynamicPartitionMetadata) -> DynamicPartitions {
    let groups = about.groups.iter().map(|group| Group {
        name: group.name.clone().unwrap_or_default(),
        size: group.size.unwrap_or(0),
        partitions: group.partition_names.clone(),
    });
    let compressed = about.vabc_enabled.unwrap_or(false);
    DynamicPartitions {
        groups: groups.collect(),
        snapshots: about.snapshot_enabled.unwrap_or(false),
        snapshot_compression: about.vabc_compression_param.clone().filter(|_| compressed),
    }
}

fn apex_report(apex: &updraft_payload::messages::ApexInfo) -> Apex {
    Apex {
        name: apex.package_name.clone().unwrap_or_default(),
        version: apex.version.unwrap_or(0),
        compressed: apex.is_compressed.unwrap_or(false),
    }
}
