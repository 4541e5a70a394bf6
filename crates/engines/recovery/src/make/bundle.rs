//! [`make_bundle`]: a package of whole images, which recovery writes without a script.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use brotli::CompressorWriter;
use sha2::{Digest as _, Sha256};
use updraft_crypto::package::PackageSigner;
use updraft_error::Kind;
use updraft_payload::bundle::{BUNDLE_NAME, Bundle, BundlePartition};
use updraft_payload::transfer_list::TRANSFER_BLOCK;
use updraft_task::Context;

use super::layout::{Content, Layout, NewEntry};
use super::write_package;
use crate::{Error, Result};

const BLOCK: usize = 4096;
/// How many blocks a command writes at most: between two of them an update that was cut goes on.
const PIECE: u64 = 2048;
/// As release tools pack: more takes three times as long for little.
const QUALITY: u32 = 6;
/// Windows of 4 MiB, which all decoders know.
const WINDOW: u32 = 22;
const BUFFER: usize = 64 << 10;

/// An image, and the device that becomes it.
#[derive(Debug, Clone)]
pub struct BundleImage {
    /// The device, as recovery calls it.
    pub device: String,
    /// The image: whole blocks of 4096 bytes.
    pub image: PathBuf,
}

/// Makes a bundle of whole images. The same images make the same package, but for signatures by EC keys.
///
/// # Errors
/// When an image has no whole blocks, or the package cannot be written.
pub fn make_bundle(
    context: &Context,
    (compatible, release): (&str, &str),
    images: &[BundleImage],
    signer: Option<&PackageSigner>,
    output: &Path,
) -> Result<()> {
    let mut partitions = Vec::new();
    let mut entries = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let Made { list, data, size, sha256 } = read_image(context, image, output)?;
        let named = |end: &str| format!("{index}.{end}");
        let partition = BundlePartition {
            device: image.device.clone(),
            size,
            sha256,
            transfer_list: named("transfer.list"),
            new_data: named("new.dat.br"),
            patches: named("patch.dat"),
        };
        let length = data.metadata().map_err(Error::file("read", output))?.len();
        let list = Content::Bytes(list.into_bytes());
        entries.push(NewEntry::new(&partition.transfer_list, list));
        entries.push(NewEntry::new(&partition.new_data, Content::File(data, length)));
        entries.push(NewEntry::new(&partition.patches, Content::Bytes(Vec::new())));
        partitions.push(partition);
    }
    let bundle = Bundle::new(compatible.to_owned(), release.to_owned(), partitions);
    let bytes = bundle.encode()?;
    // What recovery would refuse is not made.
    Bundle::parse(&bytes)?;
    entries.insert(0, NewEntry::new(BUNDLE_NAME, Content::Bytes(bytes)));
    write_package(context, &Layout::new(entries), signer, output)
}

struct Made {
    list: String,
    data: File,
    size: u64,
    sha256: String,
}

/// Blocks in a row that are all zeros, or all not.
#[derive(Clone, Copy)]
struct Run {
    start: u64,
    is_zero: bool,
}

fn read_image(context: &Context, image: &BundleImage, output: &Path) -> Result<Made> {
    let path = &image.image;
    let file = File::open(path).map_err(Error::file("open", path))?;
    let size = file.metadata().map_err(Error::file("look at", path))?.len();
    if size == 0 || size % TRANSFER_BLOCK != 0 {
        let problem = "it has no whole blocks of 4096 bytes";
        return Err(Error::entry(&path.display().to_string(), Kind::Invalid, problem));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = || Error::file("write a temporary file in", folder);
    let data = tempfile::tempfile_in(folder).map_err(failed())?;
    let mut packer = CompressorWriter::new(&data, BUFFER, QUALITY, WINDOW);
    let (mut hash, mut commands) = (Sha256::new(), String::new());
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut block = vec![0; BLOCK];
    let mut run: Option<Run> = None;
    let mut end_run = |run: Option<Run>, end: u64| {
        if let Some(Run { start, is_zero }) = run {
            let command = if is_zero { "zero" } else { "new" };
            let _ = writeln!(commands, "{command} 2,{start},{end}");
        }
    };
    for index in 0..size / TRANSFER_BLOCK {
        context.check()?;
        reader.read_exact(&mut block).map_err(Error::file("read", path))?;
        hash.update(&block);
        let is_zero = block.iter().all(|byte| *byte == 0);
        let goes_on = run.is_some_and(|run| run.is_zero == is_zero && index - run.start < PIECE);
        if !goes_on {
            end_run(run, index);
            run = Some(Run { start: index, is_zero });
        }
        if !is_zero {
            packer.write_all(&block).map_err(failed())?;
        }
    }
    end_run(run, size / TRANSFER_BLOCK);
    packer.flush().map_err(failed())?;
    // Ends the stream.
    drop(packer);
    let list = format!("4\n{}\n0\n0\n{commands}", size / TRANSFER_BLOCK);
    Ok(Made { list, data, size, sha256: hex::encode(hash.finalize()) })
}
