//! Functions about blocks of partitions.

use std::io::{self, Read};
use std::path::Path;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use updraft_error::Kind;
use updraft_payload::transfer_list::{MAX_TRANSFER_LIST, TransferList};
use updraft_payload::{Packing, RangeSet};

use super::Updater;
use crate::block::sha1_of_blocks;
use crate::package::Zip;
use crate::{Attempt, BlockDevice, BlockUpdate, Error, Result};

const BUFFER: usize = 64 << 10;

/// Entries of a package that a partition is made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) device: String,
    pub(crate) list: Vec<u8>,
    pub(crate) new_data: String,
    pub(crate) patches: String,
}

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Verify,
    Update(Attempt),
}

impl Updater<'_> {
    /// `range_sha1`.
    pub(super) fn range_sha1(&self, device: &str, ranges: &str) -> Result<String> {
        let bad = |problem| Error::entry(device, Kind::Invalid, problem);
        let ranges = RangeSet::parse(ranges).map_err(bad)?;
        let device = self.system.device(device)?;
        let hash = sha1_of_blocks(&*device, &ranges).map_err(Error::file("read", "a partition"))?;
        Ok(hex::encode(hash))
    }

    /// `block_image_verify` and `block_image_update`.
    pub(super) fn block_image(&self, parts: &Parts, work: Work) -> Result<()> {
        if matches!(work, Work::Update(_)) {
            self.begins()?;
        }
        let device = self.system.device(&parts.device)?;
        block_image(self.context, &self.package.zip, &*device, parts, self.state, work)
    }
}

/// Verifies or updates a partition by entries of a package.
pub(crate) fn block_image(
    context: &updraft_task::Context,
    zip: &Zip,
    device: &dyn BlockDevice,
    parts: &Parts,
    state: &updraft_fs::Dir,
    work: Work,
) -> Result<()> {
    if parts.list.len() as u64 > MAX_TRANSFER_LIST {
        let problem = "its transfer list is over 64 MiB";
        return Err(Error::entry(&parts.device, Kind::Exhausted, problem));
    }
    let list = TransferList::parse(&String::from_utf8_lossy(&parts.list))?;
    let new_data = || new_data(zip, &parts.new_data);
    let patches = Patches::open(zip, &parts.patches)?;
    let update = BlockUpdate {
        name: &parts.device,
        device,
        list: &list,
        new_data: &new_data,
        patches: &patches,
        state,
    };
    match work {
        Work::Verify => update.verify(context),
        Work::Update(attempt) => update.update(context, attempt),
    }
}

fn new_data(zip: &Zip, name: &str) -> Result<Box<dyn Read>> {
    let missing = || Error::entry(name, Kind::Invalid, "there is none");
    let raw = zip.reader(zip.entry(name).ok_or_else(missing)?)?;
    if !is_brotli(name) {
        return Ok(Box::new(io::BufReader::with_capacity(BUFFER, raw)));
    }
    let mut decoder = Decompressor::new(raw, BUFFER);
    // Large windows, up to 1 GiB, are beyond the format (RFC 7932).
    decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    Ok(Box::new(decoder))
}

/// Whether an entry is packed by brotli, by its name.
fn is_brotli(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "br")
}

/// All patches, read where they are in the package.
struct Patches {
    file: std::fs::File,
    start: u64,
    size: u64,
}

impl Patches {
    fn open(zip: &Zip, name: &str) -> Result<Self> {
        let file = zip.file.try_clone().map_err(Error::file("read", &zip.path))?;
        let Some(entry) = zip.entry(name) else { return Ok(Self { file, start: 0, size: 0 }) };
        if entry.packing != Packing::Stored && entry.size > 0 {
            return Err(Error::entry(
                name,
                Kind::Unsupported,
                "patches have to be stored as they are",
            ));
        }
        let place = zip.place(entry)?;
        Ok(Self { file, start: place.start, size: place.end - place.start })
    }
}

impl updraft_delta::ReadAt for Patches {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        std::os::unix::fs::FileExt::read_at(&self.file, piece, self.start + offset)
    }
}
