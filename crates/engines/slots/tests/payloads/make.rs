//! Payloads for tests, written field by field, and a place to apply them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_crypto::plain::{PrehashSigner, SpkiKey};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_payload::messages::{
    DeltaArchiveManifest, ExtentMessage, InstallOperation, PartitionInfo, PartitionUpdate,
};
use updraft_payload::prost::Message as _;
use updraft_payload::{Header, OperationKind as Kind, Signatures};
use updraft_slots::{Applied, ApplyOptions, Error, FileSource, Places, Source, Trust, apply};
use updraft_task::Context;

pub(crate) const BLOCK: usize = 512;

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Blocks, each full of one byte.
pub(crate) fn blocks(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte; BLOCK]).collect()
}

pub(crate) fn extent(start: u64, count: u64) -> updraft_payload::Lossless<ExtentMessage> {
    ExtentMessage { start_block: Some(start), num_blocks: Some(count) }.into()
}

/// A payload under construction. Everything may be spoilt before it is written.
pub(crate) struct Maker {
    pub(crate) manifest: DeltaArchiveManifest,
    pub(crate) data: Vec<u8>,
    pub(crate) olds: Vec<Option<Vec<u8>>>,
    pub(crate) news: Vec<Vec<u8>>,
}

impl Maker {
    pub(crate) fn new(minor: u32) -> Self {
        let manifest = DeltaArchiveManifest {
            block_size: Some(u32::try_from(BLOCK).unwrap()),
            minor_version: Some(minor),
            ..DeltaArchiveManifest::default()
        };
        Self { manifest, data: Vec::new(), olds: Vec::new(), news: Vec::new() }
    }

    pub(crate) fn partition(&mut self, name: &str, old: Option<&[u8]>, new: &[u8]) -> &mut Self {
        let info = |bytes: &[u8]| {
            let hash = Some(sha256(bytes).to_vec());
            PartitionInfo { size: Some(bytes.len() as u64), hash }.into()
        };
        let update = PartitionUpdate {
            partition_name: Some(name.to_owned()),
            old_partition_info: old.map(info),
            new_partition_info: Some(info(new)),
            ..PartitionUpdate::default()
        };
        self.manifest.partitions.push(update.into());
        self.olds.push(old.map(<[u8]>::to_vec));
        self.news.push(new.to_vec());
        self
    }

    /// Adds an operation to the last partition.
    pub(crate) fn operation(
        &mut self,
        kind: Kind,
        data: Option<&[u8]>,
        from: &[(u64, u64)],
        to: &[(u64, u64)],
    ) -> &mut Self {
        let extents = |list: &[(u64, u64)]| list.iter().map(|(a, b)| extent(*a, *b)).collect();
        let old = self.olds.last().unwrap().as_deref().unwrap_or_default();
        let read: Vec<u8> = from
            .iter()
            .flat_map(|(start, count)| {
                let range = |block: u64| usize::try_from(block).unwrap() * BLOCK;
                old.get(range(*start)..range(start + count)).unwrap_or_default().to_vec()
            })
            .collect();
        let operation = InstallOperation {
            kind: Some(kind.number()),
            data_offset: data.map(|_| self.data.len() as u64),
            data_length: data.map(|data| data.len() as u64),
            src_extents: extents(from),
            dst_extents: extents(to),
            data_sha256_hash: data.map(|data| sha256(data).to_vec()),
            src_sha256_hash: (!from.is_empty()).then(|| sha256(&read).to_vec()),
            ..InstallOperation::default()
        };
        self.data.extend_from_slice(data.unwrap_or_default());
        self.manifest.partitions.last_mut().unwrap().operations.push(operation.into());
        self
    }

    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let manifest = self.manifest.encode_to_vec();
        let header = Header::new(manifest.len() as u64, 0).unwrap();
        [&header.encode()[..], &manifest, &self.data].concat()
    }

    /// Signs metadata and payload.
    pub(crate) fn signed(&self, signers: &[&PrehashSigner]) -> Vec<u8> {
        let sign = |hash: [u8; 32]| {
            let each = signers.iter().map(|one| (one.sign_sha256(&hash).unwrap(), one.longest()));
            Signatures::encode(&each.collect::<Vec<_>>()).unwrap()
        };
        let length = sign([0; 32]).len();
        let mut manifest = self.manifest.clone();
        manifest.signatures_offset = Some(self.data.len() as u64);
        manifest.signatures_size = Some(length as u64);
        let manifest = manifest.encode_to_vec();
        let header = Header::new(manifest.len() as u64, u32::try_from(length).unwrap()).unwrap();
        let metadata = [&header.encode()[..], &manifest].concat();
        let whole = sign(sha256(&[&metadata[..], &self.data].concat()));
        [&metadata[..], &sign(sha256(&metadata)), &self.data, &whole].concat()
    }
}

pub(crate) fn signer(algorithm: KeyAlgorithm) -> PrehashSigner {
    let key = SigningKey::generate(algorithm).unwrap();
    PrehashSigner::from_pem(&key.to_pkcs8_pem().unwrap()).unwrap()
}

pub(crate) fn trusting(signers: &[&PrehashSigner]) -> Trust {
    let key = |one: &&PrehashSigner| SpkiKey::from_der(one.public().der()).unwrap();
    Trust { keys: signers.iter().map(key).collect(), properties: None }
}

/// A delta over two partitions with an operation of each kind that needs no compressor but those
/// at hand.
pub(crate) fn delta() -> Maker {
    let mut maker = Maker::new(10);
    let (old, new) = (blocks(b"abcdefgh"), blocks(b"XbbcdZ\0\0gY"));
    let mut patch = b"BSDF2\x00\x01\x00".to_vec();
    let add = [[0; 512], [1; 512]].concat();
    let mut diff = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    diff.write_all(&add).unwrap();
    let diff = diff.finish().unwrap();
    let number = |number: usize| (number as u64).to_le_bytes();
    patch.extend([24, diff.len(), 1024].into_iter().flat_map(number));
    patch.extend([1024, 0, 0].into_iter().flat_map(number));
    patch.extend(&diff);
    maker
        .partition("system", Some(&old), &new)
        .operation(Kind::Replace, Some(&[b'X'; 512]), &[], &[(0, 1)])
        .operation(Kind::SourceCopy, None, &[(1, 1), (1, 2)], &[(1, 3)])
        .operation(Kind::BrotliBsdiff, Some(&patch), &[(3, 1), (1, 1)], &[(4, 1), (10, 1)])
        .operation(
            Kind::ReplaceZstd,
            Some(&zstd::encode_all(&[b'Z'; 512][..], 3).unwrap()),
            &[],
            &[(5, 1)],
        )
        .operation(Kind::Zero, None, &[], &[(6, 1)])
        .operation(Kind::Discard, None, &[], &[(7, 1)])
        .operation(Kind::SourceCopy, None, &[(6, 1)], &[(8, 1)]);
    // What the patch makes is the old `d`, and the old `b` plus one.
    let new = [&new[..], &blocks(b"c")].concat();
    maker.news[0].clone_from(&new);
    let info = maker.manifest.partitions[0].new_partition_info.as_mut().unwrap();
    (info.size, info.hash) = (Some(new.len() as u64), Some(sha256(&new).to_vec()));
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bz.write_all(&[b'Y'; 512]).unwrap();
    maker.operation(Kind::ReplaceBz, Some(&bz.finish().unwrap()), &[], &[(9, 1)]);
    let kernel = blocks(b"kk");
    let mut xz = Vec::new();
    updraft_delta::compress(&mut &kernel[..], 1024, &mut xz).unwrap();
    maker.partition("boot", None, &kernel);
    maker.operation(Kind::ReplaceXz, Some(&xz), &[], &[(0, 2)]);
    maker
}

/// Files in place of partitions.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) places: BTreeMap<String, Places>,
    pub(crate) options: ApplyOptions,
}

impl World {
    /// With old contents, and targets that hold something else.
    pub(crate) fn of(maker: &Maker) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut places = BTreeMap::new();
        for ((update, old), new) in
            maker.manifest.partitions.iter().zip(&maker.olds).zip(&maker.news)
        {
            let name = update.partition_name.clone().unwrap();
            let target = folder.path().join(format!("{name}.new"));
            std::fs::write(&target, vec![0xa5; new.len()]).unwrap();
            let source = old.as_ref().map(|old| {
                let source = folder.path().join(format!("{name}.old"));
                std::fs::write(&source, old).unwrap();
                source
            });
            places.insert(name, Places { target, source });
        }
        let mut options = ApplyOptions::new(folder.path());
        options.state = Some(folder.path().join("state.json"));
        options.checkpoint_bytes = 0;
        Self { folder, places, options }
    }

    /// The same, with the files of another world.
    pub(crate) fn move_to(&mut self, folder: &str) {
        let moved = |path: &Path| Path::new(folder).join(path.file_name().unwrap());
        for places in self.places.values_mut() {
            places.target = moved(&places.target);
            places.source = places.source.as_deref().map(moved);
        }
        self.options.state = self.options.state.as_deref().map(moved);
        self.options.scratch = folder.into();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn apply(&self, payload: &[u8], trust: &Trust) -> Result<Applied, Error> {
        let path = self.path("payload.bin");
        std::fs::write(&path, payload).unwrap();
        self.apply_from(&mut FileSource::open(&path)?, trust)
    }

    pub(crate) fn apply_from(
        &self,
        source: &mut dyn Source,
        trust: &Trust,
    ) -> Result<Applied, Error> {
        apply(&Context::silent(), source, trust, &self.places, &self.options)
    }

    /// What the targets hold.
    pub(crate) fn targets(&self) -> Vec<(String, Vec<u8>)> {
        // A folder in the place of a target holds nothing.
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        self.places.iter().map(|(name, places)| (name.clone(), read(&places.target))).collect()
    }

    pub(crate) fn assert_holds(&self, maker: &Maker) {
        for (update, new) in maker.manifest.partitions.iter().zip(&maker.news) {
            let name = update.partition_name.as_deref().unwrap();
            let held = std::fs::read(&self.places[name].target).unwrap();
            assert!(held == *new, "partition {name} holds something else");
        }
    }
}
