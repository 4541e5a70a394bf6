//! [`generate`]: makes payloads of images.
//!
//! A full payload is made of pieces of 2 MiB, each compressed by whatever makes it smallest. For a
//! delta, blocks that are zeros or that the old image has are found first; what is left is patched
//! from old blocks that it resembles, wherever they are, or replaced if that is smaller. The same
//! images make the same payload, whatever the number of threads.

mod device;
mod encode;
mod index;
mod patch;
mod pieces;
mod similar;
mod workers;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_crypto::plain::PrehashSigner;
use updraft_delta::ReadAt as _;
use updraft_error::Kind;
use updraft_fs::PageBuffer;
use updraft_payload::messages::{
    DeltaArchiveManifest, ExtentMessage, InstallOperation, PartitionInfo, PartitionUpdate,
};
use updraft_payload::{Extent, Properties};
use updraft_task::{Context, Event, Unit};

use crate::write::write_payload;
use crate::{Error, Result};
pub use device::Device;
use device::Limits;
use encode::{Encoded, Encoder};
use index::OldBlocks;
use pieces::{Old, Piece, pieces};
use similar::Similar;

/// Bytes in a block: what Android's tools take for granted.
pub(crate) const BLOCK: u64 = 4096;
const BUFFER: usize = 1 << 20;
const PHASE: &str = "making the payload";

/// An image for a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The name of its partition.
    pub partition: String,
    /// The new content.
    pub new: PathBuf,
    /// What devices have now. `None`: the payload needs nothing of it.
    pub old: Option<PathBuf>,
}

/// How a payload is made.
#[derive(Debug, Clone, Default)]
pub struct GenerateOptions {
    /// The time of the build, in seconds since 1970.
    pub max_timestamp: i64,
    /// The security patch level of the build.
    pub security_patch_level: Option<String>,
    /// Whether partitions that are not named stay as they are.
    pub is_partial: bool,
    /// How many threads work; 0 counts as 1.
    pub jobs: usize,
    /// What the devices know and can afford.
    pub device: Device,
}

/// Makes a payload of images, in their order, and signs it by these keys. The file appears whole.
///
/// # Errors
/// When an image cannot be read, is none of whole blocks, no such payload is made for such devices, or it
/// cannot be written.
pub fn generate(
    context: &Context,
    images: &[Image],
    options: &GenerateOptions,
    signers: &[PrehashSigner],
    output: &Path,
) -> Result<Properties> {
    let limits = options.device.limits(options.is_partial)?;
    let folder = crate::write::folder_of(output);
    let blobs =
        tempfile::tempfile_in(folder).map_err(Error::file("make a temporary file in", folder))?;
    // A payload that leaves partitions out counts as a delta, whatever it needs of the old ones (AOSP,
    // `DeltaPerformer::ValidateManifest`).
    let is_delta = options.is_partial || images.iter().any(|image| image.old.is_some());
    let used = if is_delta { limits } else { limits.of_full() };
    let mut maker =
        Maker { context, options, limits: used, blobs: BufWriter::new(blobs), at: 0, folder };
    let mut manifest = DeltaArchiveManifest {
        block_size: Some(u32::try_from(BLOCK).unwrap_or_default()),
        minor_version: Some(if is_delta { limits.minor() } else { 0 }),
        max_timestamp: Some(options.max_timestamp),
        security_patch_level: options.security_patch_level.clone(),
        partial_update: options.is_partial.then_some(true),
        ..DeltaArchiveManifest::default()
    };
    for image in images {
        manifest.partitions.push(maker.partition(image)?.into());
    }
    let failed = || Error::file("write a temporary file in", folder);
    let size = maker.at;
    let blobs = maker.blobs.into_inner().map_err(|error| failed()(error.into_error()))?;
    write_payload(manifest.into(), (&blobs, 0, size), signers, output)
}

struct Maker<'a> {
    context: &'a Context,
    options: &'a GenerateOptions,
    limits: Limits,
    /// The data of the operations so far.
    blobs: BufWriter<File>,
    at: u64,
    folder: &'a Path,
}

impl Maker<'_> {
    fn partition(&mut self, image: &Image) -> Result<PartitionUpdate> {
        let new = open(&image.partition, &image.new)?;
        let old = image.old.as_deref().map(|path| open(&image.partition, path)).transpose()?;
        let known = match (&old, &image.old) {
            (Some(file), Some(path)) => {
                let failed = || Error::file("read", path);
                let blocks = OldBlocks::read(self.context, file).map_err(failed())?;
                let similar = Similar::read(self.context, file).map_err(failed())?;
                Some(Old { file, blocks, similar })
            }
            _ => None,
        };
        let failed = || Error::file("read", &image.new);
        let pieces = pieces(self.context, &new, known.as_ref(), self.limits).map_err(failed())?;
        drop(known);
        let total = Some(pieces.len() as u64);
        self.context.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
        let mut operations = Vec::new();
        let encoder = Encoder { new: &new, old: old.as_ref(), limits: self.limits };
        let encode = |piece: &Piece| encoder.encode(piece);
        workers::in_order(self.options.jobs, &pieces, encode, |done, encoded| {
            self.context.check()?;
            self.context.report(&Event::Advanced { phase: PHASE, done, total });
            let encoded = encoded.map_err(failed())?;
            operations.push(self.operation(encoded)?.into());
            Ok::<_, Error>(())
        })?;
        self.context.report(&Event::Finished { phase: PHASE });
        let info = |file: &File, path: &Path| info(file).map_err(Error::file("read", path));
        let old_info = match (&old, &image.old) {
            (Some(old), Some(path)) => Some(info(old, path)?.into()),
            _ => None,
        };
        Ok(PartitionUpdate {
            partition_name: Some(image.partition.clone()),
            old_partition_info: old_info,
            new_partition_info: Some(info(&new, &image.new)?.into()),
            operations,
            ..PartitionUpdate::default()
        })
    }

    /// Stores the data of an operation.
    fn operation(&mut self, encoded: Encoded) -> Result<InstallOperation> {
        let Encoded { kind, data, sources, destinations, source_sha256 } = encoded;
        let message = |extent: &Extent| {
            let (start_block, num_blocks) = (Some(extent.start), Some(extent.count));
            ExtentMessage { start_block, num_blocks }.into()
        };
        let mut operation = InstallOperation {
            kind: Some(kind.number()),
            src_extents: sources.iter().map(message).collect(),
            dst_extents: destinations.iter().map(message).collect(),
            src_sha256_hash: source_sha256.map(|hash| hash.to_vec()),
            ..InstallOperation::default()
        };
        if let Some(data) = data {
            operation.data_offset = Some(self.at);
            operation.data_length = Some(data.len() as u64);
            operation.data_sha256_hash = Some(Sha256::digest(&data).to_vec());
            let failed = Error::file("write a temporary file in", self.folder);
            self.blobs.write_all(&data).map_err(failed)?;
            self.at += data.len() as u64;
        }
        Ok(operation)
    }
}

/// Opens an image, which has whole blocks.
fn open(partition: &str, path: &Path) -> Result<File> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let size = file.size().map_err(Error::file("look at", path))?;
    if size == 0 || size % BLOCK != 0 {
        let problem =
            format!("{} has {size} bytes, which are no blocks of {BLOCK}", path.display());
        return Err(Error::partition(partition, Kind::Invalid, problem));
    }
    Ok(file)
}

fn info(file: &File) -> std::io::Result<PartitionInfo> {
    let size = file.size()?;
    let mut hash = Sha256::new();
    let mut buffer = PageBuffer::new(BUFFER);
    let mut at = 0;
    while at < size {
        let most = usize::try_from(size - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        hash.update(&*piece);
        at += most as u64;
    }
    Ok(PartitionInfo { size: Some(size), hash: Some(hash.finalize().to_vec()) })
}
