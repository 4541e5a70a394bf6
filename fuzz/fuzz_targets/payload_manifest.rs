//! Manifests of payloads: what is checked holds, and messages are written again as they were read.
#![no_main]
use updraft_payload::messages::DeltaArchiveManifest;
use updraft_payload::prost::Message as _;
use updraft_payload::{Lossless, Manifest};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Lossless::<DeltaArchiveManifest>::decode(data) {
        let written = message.encode_to_vec();
        let again = Lossless::<DeltaArchiveManifest>::decode(&written[..])
            .expect("what was written is readable");
        assert_eq!(again.encode_to_vec(), written);
    }
    if let Ok(manifest) = Manifest::parse(data) {
        let block = u64::from(manifest.block_size);
        for partition in &manifest.partitions {
            let mut written = 0;
            for operation in &partition.operations {
                written += operation
                    .destinations
                    .iter()
                    .filter(|it| !it.is_hole())
                    .map(|it| it.count)
                    .sum::<u64>();
                assert!(
                    operation
                        .data
                        .is_none_or(|data| data.offset + data.length <= manifest.data_size)
                );
            }
            assert!(written * block <= partition.new.size);
        }
    }
});
