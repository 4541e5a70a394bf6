//! The payloads that Google's own generator made of its own sample images. They are not part of this
//! repository; where they are not, these tests say so and do nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use updraft_payload::OperationKind as Kind;
use updraft_slots::{
    ApplyOptions, FileSource, Forward, Head, Mode, Places, Trust, apply, properties, verify,
};
use updraft_task::Context;

/// Where they are: beside the repository, or where this variable says.
const VARIABLE: &str = "UPDRAFT_ANDROID_SAMPLES";

fn samples() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/android");
    let folder = std::env::var_os(VARIABLE).map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} has no samples; {VARIABLE} says where others are", folder.display());
    None
}

fn image(samples: &Path, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(samples.join(name)).unwrap();
    let is_packed = Path::new(name).extension().is_some_and(|end| end == "zst");
    if is_packed { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}

#[test]
fn properties_are_those_of_google() {
    let Some(samples) = samples() else { return };
    let read = |name: &str| {
        let mut source = FileSource::open(&samples.join(name)).unwrap();
        let context = Context::silent();
        let text = properties(&context, &mut source).unwrap().to_string();
        let verified = verify(&context, &mut source, &Trust::default()).unwrap();
        assert_eq!((verified.properties.to_string(), verified.without_hash), (text.clone(), 0));
        text
    };
    assert_eq!(
        read("full_payload.bin"),
        "FILE_HASH=EgTYgwQHRHfppfPaEfc7QqThOWhSEnPsAJoBj/ZmE1s=\nFILE_SIZE=2658\n\
         METADATA_HASH=KxKZuEYXj/AUY3Xj56xN/PqdCvzjH8QJHMUVlvJX8mE=\nMETADATA_SIZE=281\n"
    );
    assert_eq!(
        read("delta_payload.bin"),
        "FILE_HASH=aXUS5ypjAxMjq+WWGrxg41qrVc8p7ulrfMy2s7qSN0w=\nFILE_SIZE=3210\n\
         METADATA_HASH=Ry1WomMIGOIKroq+hryAILZKXga2/MGRanyyDq3/iaY=\nMETADATA_SIZE=783\n"
    );
}

#[test]
fn manifests_are_written_again_byte_for_byte() {
    use updraft_payload::messages::DeltaArchiveManifest;
    use updraft_payload::{Header, Lossless, prost::Message as _};

    let Some(samples) = samples() else { return };
    for name in ["full_payload.bin", "delta_payload.bin"] {
        let payload = std::fs::read(samples.join(name)).unwrap();
        let size = Header::parse(&payload).unwrap().metadata_size();
        let manifest = &payload[24..usize::try_from(size).unwrap()];
        let message = Lossless::<DeltaArchiveManifest>::decode(manifest).unwrap();
        assert_eq!(message.encode_to_vec(), manifest, "{name}");
    }
}

#[test]
fn the_operations_are_those_of_google() {
    let Some(samples) = samples() else { return };
    let mut source = FileSource::open(&samples.join("delta_payload.bin")).unwrap();
    let head = Head::read(&mut source, &Trust::default()).unwrap();
    let kinds = |at: usize| {
        let operations = &head.manifest.partitions[at].operations;
        operations.iter().map(|operation| operation.kind).collect::<Vec<_>>()
    };
    assert_eq!((head.manifest.minor_version, head.manifest.block_size), (6, 4096));
    assert_eq!(kinds(0).len(), 14);
    assert_eq!(kinds(0)[..4], [Kind::BrotliBsdiff, Kind::Zero, Kind::ReplaceBz, Kind::SourceCopy]);
    assert_eq!(kinds(1), [Kind::ReplaceXz]);
}

/// Applies a sample read this many bytes at a time; 0: from the file.
fn applied(samples: &Path, name: &str, step: usize) {
    let folder = tempfile::tempdir().unwrap();
    let olds = [("kernel", "disk_ext2_4k_empty.img.zst"), ("root", "disk_sqfs_empty.img")];
    let places: BTreeMap<String, Places> = olds
        .into_iter()
        .map(|(partition, old)| {
            let source = folder.path().join(format!("{partition}.old"));
            std::fs::write(&source, image(samples, old)).unwrap();
            let target = folder.path().join(format!("{partition}.img"));
            (partition.to_owned(), Places { target, source: Some(source) })
        })
        .collect();
    let mut options = ApplyOptions::new(folder.path());
    options.mode = Mode::Extract;
    let (context, trust) = (Context::silent(), Trust::default());
    if step == 0 {
        let mut source = FileSource::open(&samples.join(name)).unwrap();
        apply(&context, &mut source, &trust, &places, &options).unwrap();
    } else {
        let bytes = std::fs::read(samples.join(name)).unwrap();
        let mut source = Forward::new(Slow(&bytes, step));
        apply(&context, &mut source, &trust, &places, &options).unwrap();
    }
    for (partition, new) in [("kernel", "disk_ext2_4k.img.zst"), ("root", "disk_sqfs_default.img")]
    {
        let made = std::fs::read(folder.path().join(format!("{partition}.img"))).unwrap();
        assert!(made == image(samples, new), "{name}: {partition}");
    }
}

struct Slow<'a>(&'a [u8], usize);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn both_samples_make_the_images_of_google() {
    let Some(samples) = samples() else { return };
    for step in [0, 1, 7, 65536] {
        applied(&samples, "full_payload.bin", step);
        applied(&samples, "delta_payload.bin", step);
    }
}
