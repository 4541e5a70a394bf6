//! Manifests: golden bytes, and a name for each way of being wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use updraft_error::{Classify as _, Kind as ErrorKind};
use updraft_payload::messages::{
    ApexInfo, CowMergeOperation, DeltaArchiveManifest, DynamicPartitionGroup,
    DynamicPartitionMetadata, ExtentMessage, InstallOperation, PartitionInfo, PartitionUpdate,
    Signature, VabcFeatureSet,
};
use updraft_payload::prost::Message as _;
use updraft_payload::{Data, Error, Extent, Lossless, Manifest, OperationKind, OperationProblem};

fn extent(start: u64, count: u64) -> Lossless<ExtentMessage> {
    ExtentMessage { start_block: Some(start), num_blocks: Some(count) }.into()
}

fn info(blocks: u64) -> Lossless<PartitionInfo> {
    PartitionInfo { size: Some(blocks * 4096), hash: Some(vec![7; 32]) }.into()
}

fn operation(
    kind: i32,
    data: Option<(u64, u64)>,
    from: &[(u64, u64)],
    to: &[(u64, u64)],
) -> InstallOperation {
    let extents = |list: &[(u64, u64)]| list.iter().map(|(a, b)| extent(*a, *b)).collect();
    InstallOperation {
        kind: Some(kind),
        data_offset: data.map(|(offset, _)| offset),
        data_length: data.map(|(_, length)| length),
        src_extents: extents(from),
        dst_extents: extents(to),
        ..InstallOperation::default()
    }
}

/// A delta with a partition of ten blocks that had eight.
fn manifest(operations: Vec<InstallOperation>) -> DeltaArchiveManifest {
    let system = PartitionUpdate {
        partition_name: Some("system".to_owned()),
        old_partition_info: Some(info(8)),
        new_partition_info: Some(info(10)),
        operations: operations.into_iter().map(Lossless::from).collect(),
        ..PartitionUpdate::default()
    };
    DeltaArchiveManifest {
        minor_version: Some(6),
        partitions: vec![system.into()],
        ..DeltaArchiveManifest::default()
    }
}

fn parse(message: &DeltaArchiveManifest) -> Result<Manifest, Error> {
    Manifest::parse(&message.encode_to_vec())
}

#[test]
fn a_manifest_is_read_of_its_bytes() {
    // Field by field as Android's own generator writes it: block size, minor version, a partition.
    let partition = [
        &b"\x0a\x04boot"[..],
        &[0x3a, 37, 0x08, 0x80, 0x40, 0x12, 32],
        &[7; 32],
        &[0x42, 46, 0x08, 1, 0x10, 0, 0x18, 5, 0x32, 4, 0x08, 0, 0x10, 2, 0x42, 32],
        &[9; 32],
    ]
    .concat();
    let mut bytes = vec![0x18, 0x80, 0x20, 0x60, 0, 0x6a];
    bytes.push(u8::try_from(partition.len()).unwrap());
    bytes.extend(&partition);
    bytes.extend([0x70, 0]);
    let read = Manifest::parse(&bytes).unwrap();
    assert!(read.is_full() && read.block_size == 4096 && read.data_size == 5);
    assert_eq!(read.about.max_timestamp, Some(0));
    let boot = &read.partitions[0];
    assert_eq!((boot.name.as_str(), boot.new.size, boot.new.sha256), ("boot", 8192, [7; 32]));
    let operation = &boot.operations[0];
    assert_eq!(operation.kind, OperationKind::ReplaceBz);
    assert_eq!(operation.data, Some(Data { offset: 0, length: 5 }));
    assert_eq!(operation.destinations, [Extent { start: 0, count: 2 }]);
    assert_eq!(operation.data_sha256, Some([9; 32]));
    let again = Lossless::<DeltaArchiveManifest>::decode(&bytes[..]).unwrap();
    assert_eq!(again.encode_to_vec(), bytes);
}

/// Every field of every message.
fn complete() -> DeltaArchiveManifest {
    let signature =
        Signature { version: Some(1), data: Some(vec![1]), unpadded_signature_size: Some(1) };
    let merge = CowMergeOperation {
        kind: Some(1),
        src_extent: Some(extent(1, 1)),
        dst_extent: Some(extent(2, 1)),
        src_offset: Some(3),
    };
    let mut manifest = manifest(vec![InstallOperation {
        src_length: Some(4096),
        dst_length: Some(4096),
        data_sha256_hash: Some(vec![1; 32]),
        src_sha256_hash: Some(vec![2; 32]),
        ..operation(5, Some((0, 9)), &[(0, 1)], &[(0, 1)])
    }]);
    let system = &mut manifest.partitions[0];
    **system = PartitionUpdate {
        run_postinstall: Some(true),
        postinstall_path: Some("bin/x".to_owned()),
        filesystem_type: Some("ext4".to_owned()),
        new_partition_signature: vec![signature.into()],
        postinstall_optional: Some(true),
        hash_tree_data_extent: Some(extent(0, 1)),
        hash_tree_extent: Some(extent(1, 1)),
        hash_tree_algorithm: Some("sha256".to_owned()),
        hash_tree_salt: Some(vec![3]),
        fec_data_extent: Some(extent(0, 2)),
        fec_extent: Some(extent(2, 2)),
        fec_roots: Some(2),
        version: Some("1".to_owned()),
        merge_operations: vec![merge.into()],
        estimate_cow_size: Some(5),
        estimate_op_count_max: Some(6),
        ..PartitionUpdate::clone(system)
    };
    let group = DynamicPartitionGroup {
        name: Some("main".to_owned()),
        size: Some(1 << 30),
        partition_names: vec!["system".to_owned()],
    };
    let dynamic = DynamicPartitionMetadata {
        groups: vec![group.into()],
        snapshot_enabled: Some(true),
        vabc_enabled: Some(true),
        vabc_compression_param: Some("lz4".to_owned()),
        cow_version: Some(3),
        vabc_feature_set: Some(
            VabcFeatureSet { threaded: Some(true), batch_writes: Some(true) }.into(),
        ),
        compression_factor: Some(4096),
        disable_ublk: Some(true),
    };
    let apex = ApexInfo {
        package_name: Some("a".to_owned()),
        version: Some(1),
        is_compressed: Some(true),
        decompressed_size: Some(2),
    };
    DeltaArchiveManifest {
        block_size: Some(4096),
        signatures_offset: Some(9),
        signatures_size: Some(267),
        max_timestamp: Some(-1),
        dynamic_partition_metadata: Some(dynamic.into()),
        partial_update: Some(true),
        apex_info: vec![apex.into()],
        security_patch_level: Some("2026-11-01".to_owned()),
        ..manifest
    }
}

#[test]
fn every_field_is_known_and_what_is_not_is_kept() {
    let bytes = complete().encode_to_vec();
    let read = Lossless::<DeltaArchiveManifest>::decode(&bytes[..]).unwrap();
    assert!(read.unknown().is_empty());
    let system = &read.partitions[0];
    assert!(system.unknown().is_empty() && system.operations[0].unknown().is_empty());
    assert!(system.merge_operations[0].unknown().is_empty());
    assert!(system.new_partition_signature[0].unknown().is_empty());
    assert!(system.fec_extent.as_ref().unwrap().unknown().is_empty());
    let dynamic = read.dynamic_partition_metadata.as_ref().unwrap();
    assert!(dynamic.unknown().is_empty() && dynamic.groups[0].unknown().is_empty());
    assert!(read.apex_info[0].unknown().is_empty());
    assert_eq!(Manifest::parse(&bytes).unwrap().blob_size(), 276);

    let unknown = [0x98, 0x06, 42];
    let newer = [&bytes[..], &unknown].concat();
    let read = Lossless::<DeltaArchiveManifest>::decode(&newer[..]).unwrap();
    assert_eq!((read.unknown(), read.encode_to_vec()), (&unknown[..], newer));
}

fn problem(operation: InstallOperation) -> OperationProblem {
    match parse(&manifest(vec![operation])).unwrap_err() {
        Error::Operation { problem, index: 0, partition } if partition == "system" => problem,
        other => panic!("another error: {other}"),
    }
}

#[test]
fn each_problem_of_an_operation_has_its_name() {
    use OperationProblem as Problem;
    let data = Some((0, 5));
    let to = &[(0, 1)][..];
    parse(&manifest(vec![operation(0, data, &[], to)])).unwrap();
    assert_eq!(problem(operation(99, data, &[], to)), Problem::UnknownKind(99));
    assert_eq!(
        problem(InstallOperation { kind: None, ..operation(0, data, &[], to) }),
        Problem::UnknownKind(-1)
    );
    assert_eq!(problem(operation(2, data, &[], to)), Problem::InPlace);
    assert_eq!(problem(operation(0, None, &[], to)), Problem::DataMissing);
    assert_eq!(problem(operation(6, data, &[], to)), Problem::DataUnwanted);
    assert_eq!(problem(operation(0, Some((u64::MAX, 5)), &[], to)), Problem::DataBeyond);
    assert_eq!(problem(operation(0, data, &[], &[])), Problem::NoDestination);
    assert_eq!(problem(operation(4, None, &[], to)), Problem::NoSource);
    assert_eq!(problem(operation(0, data, &[(0, 1)], to)), Problem::SourceUnwanted);
    assert_eq!(problem(operation(0, data, &[], &[(0, 0)])), Problem::EmptyExtent);
    let outside = |start, count, blocks| Problem::OutOfRange { start, count, blocks };
    assert_eq!(problem(operation(0, data, &[], &[(9, 2)])), outside(9, 2, 10));
    assert_eq!(
        problem(operation(0, data, &[], &[(u64::MAX - 1, 2)])),
        outside(u64::MAX - 1, 2, 10)
    );
    assert_eq!(problem(operation(0, data, &[], &[(u64::MAX, 11)])), outside(u64::MAX, 11, 10));
    assert_eq!(problem(operation(4, None, &[(8, 1)], to)), outside(8, 1, 8));
    assert_eq!(problem(operation(6, None, &[], &[(3, 2), (4, 1)])), Problem::Overlap(4));
    assert_eq!(problem(operation(4, None, &[(0, 2)], to)), Problem::Unequal { from: 2, to: 1 });
    assert_eq!(problem(operation(0, Some((0, 4097)), &[], to)), Problem::TooMuchData);
    let hashed = |hash: Vec<u8>| InstallOperation {
        data_sha256_hash: Some(hash),
        ..operation(0, data, &[], to)
    };
    assert_eq!(problem(hashed(vec![1; 31])), Problem::Hash("data_sha256_hash"));
    let long =
        |length| InstallOperation { dst_length: Some(length), ..operation(0, data, &[], to) };
    assert_eq!(problem(long(4097)), Problem::Length("dst_length"));
    assert_eq!(problem(long(0)), Problem::Length("dst_length"));
    parse(&manifest(vec![long(1)])).unwrap();
}

#[test]
fn operations_may_not_contradict_each_other() {
    let two = |first: InstallOperation, second: InstallOperation| match parse(&manifest(vec![
        first, second,
    ]))
    .unwrap_err()
    {
        Error::Operation { problem, index, .. } => (index, problem),
        other => panic!("another error: {other}"),
    };
    let replace = |at, data| operation(0, Some(data), &[], &[(at, 1)]);
    let found = two(replace(0, (5, 5)), replace(1, (9, 5)));
    assert_eq!(found, (1, OperationProblem::DataOrder { found: 9, end: 10 }));
    let found = two(replace(3, (0, 5)), replace(3, (5, 5)));
    assert_eq!(found, (1, OperationProblem::Overlap(3)));
    // Gaps in the data are nobody's harm.
    let gap = parse(&manifest(vec![replace(0, (0, 5)), replace(1, (9, 5))])).unwrap();
    assert_eq!((gap.data_size, gap.operation_count()), (14, 2));
}

#[test]
fn each_problem_of_a_field_has_its_name() {
    let field = |change: &dyn Fn(&mut DeltaArchiveManifest)| {
        let mut message = manifest(vec![operation(0, Some((0, 5)), &[], &[(0, 1)])]);
        change(&mut message);
        let error = parse(&message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        match error {
            Error::Field { field, .. } | Error::Missing { field, .. } => field,
            Error::TooLarge { what, .. } | Error::Message { what, .. } => what,
            other => panic!("another error: {other}"),
        }
    };
    assert_eq!(field(&|it| it.block_size = Some(4095)), "block_size");
    assert_eq!(field(&|it| it.block_size = Some(0)), "block_size");
    assert_eq!(field(&|it| it.block_size = Some(1 << 20)), "block_size");
    assert_eq!(field(&|it| it.partitions.clear()), "partitions");
    assert_eq!(field(&|it| it.partitions.push(it.partitions[0].clone())), "partitions");
    assert_eq!(field(&|it| it.minor_version = None), "old_partition_info");
    assert_eq!(field(&|it| it.signatures_offset = Some(5)), "signatures_size");
    assert_eq!(field(&|it| it.signatures_size = Some(5)), "signatures_offset");
    let signatures = |offset, size| {
        field(&move |it| (it.signatures_offset, it.signatures_size) = (Some(offset), Some(size)))
    };
    assert_eq!(signatures(4, 267), "signatures_offset");
    assert_eq!(signatures(u64::MAX, 267), "signatures_offset");
    assert_eq!(signatures(5, 0), "signatures_size");
    assert_eq!(signatures(5, 1 << 20), "the signature of the payload");
    for name in ["", ".", "..", "a/b", "a b", "ä", "\0", &"x".repeat(65)] {
        let found = field(&|it| it.partitions[0].partition_name = Some(name.to_owned()));
        assert_eq!(found, "partition_name", "{name:?}");
    }
    assert_eq!(field(&|it| it.partitions[0].new_partition_info = None), "new_partition_info");
    let info = |size: Option<u64>, hash: Vec<u8>| {
        field(&move |it| {
            let info = PartitionInfo { size, hash: Some(hash.clone()) };
            it.partitions[0].new_partition_info = Some(info.into());
        })
    };
    assert_eq!(info(Some(40960), vec![1; 20]), "new_partition_info");
    assert_eq!(info(None, vec![1; 32]), "new_partition_info");
    assert_eq!(info(Some(40961), vec![1; 32]), "new_partition_info");
    assert_eq!(info(Some(1 << 63), vec![1; 32]), "new_partition_info");
    assert!(matches!(Manifest::parse(&[0x6a, 5]), Err(Error::NoMessage(_))));
    assert!(matches!(Manifest::parse(&[0x6a, 2, 0x42, 5]), Err(Error::NoMessage(_))));
    assert!(matches!(Manifest::parse(&[0x6a, 2, 0x08, 5]), Err(Error::Message { .. })));
    assert!(matches!(Manifest::parse(&vec![0; (16 << 20) + 1]), Err(Error::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn a_manifest_with_a_bit_flipped_does_no_harm(at in 0_usize..2000) {
        let mut bytes = complete().encode_to_vec();
        let place = at / 8 % bytes.len();
        bytes[place] ^= 1 << (at % 8);
        let _ = Manifest::parse(&bytes);
        if let Ok(read) = Lossless::<DeltaArchiveManifest>::decode(&bytes[..]) {
            let again = Lossless::<DeltaArchiveManifest>::decode(&read.encode_to_vec()[..]).unwrap();
            prop_assert_eq!(again, read);
        }
    }
}
