//! Functions about blocks of partitions.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use updraft_error::Kind;
use updraft_payload::transfer_list::{MAX_TRANSFER_LIST, TransferList, UnhashedList};
use updraft_payload::{Packing, RangeSet};

use super::Updater;
use crate::block::{Answers, Hashed, add_hashes, sha1_of_blocks};
use crate::package::{Medium, Zip};
use crate::{Attempt, BlockDevice, BlockUpdate, Error, Result, VerifiedPackage};

const BUFFER: usize = 64 << 10;

/// Entries of a package that a partition is made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) device: String,
    pub(crate) list: Vec<u8>,
    pub(crate) new_data: String,
    pub(crate) patches: String,
    /// What the script was told of the device before.
    pub(crate) answers: Answers,
}

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Verify,
    Update(Attempt),
}

impl Updater<'_> {
    /// `range_sha1`.
    pub(super) fn range_sha1(&self, name: &str, ranges: &str) -> Result<String> {
        if let Some(answer) = self.answer_of_before(name, ranges)? {
            return Ok(answer);
        }
        let bad = |problem| Error::entry(name, Kind::Invalid, problem);
        let set = RangeSet::parse(ranges).map_err(bad)?;
        let device = self.system.device(name)?;
        let hash = sha1_of_blocks(&*device, &set).map_err(Error::file("read", "a partition"))?;
        let hash = hex::encode(hash);
        let mut answers = self.answers.borrow_mut();
        answers.entry(name.to_owned()).or_default().push((ranges.to_owned(), hash.clone()));
        Ok(hash)
    }

    /// What was said before the first write, of a partition that is half written and not gone on with
    /// yet: see [`Hashed`].
    fn answer_of_before(&self, device: &str, ranges: &str) -> Result<Option<String>> {
        if self.updated.borrow().contains(device) {
            return Ok(None);
        }
        let kept = Hashed::read(self.state, device)?;
        let kept = kept.filter(|kept| kept.package == self.package.sha256());
        let answers = kept.map(|kept| kept.answers).unwrap_or_default();
        Ok(answers.into_iter().find(|(own, _)| own == ranges).map(|(_, hash)| hash))
    }

    /// `block_image_verify` and `block_image_update`.
    pub(super) fn block_image(&self, parts: &Parts, work: Work) -> Result<()> {
        if matches!(work, Work::Update(_)) {
            self.updated.borrow_mut().insert(parts.device.clone());
        }
        let device = self.system.device(&parts.device)?;
        let begin = || self.begins();
        block_image(self.context, self.package, &*device, parts, self.state, work, &begin)
    }
}

/// Verifies or updates a partition by entries of a package. `begin` is called before the first write.
pub(crate) fn block_image(
    context: &updraft_task::Context,
    package: &VerifiedPackage,
    device: &dyn BlockDevice,
    parts: &Parts,
    state: &updraft_fs::Dir,
    work: Work,
    begin: &dyn Fn() -> Result<()>,
) -> Result<()> {
    if parts.list.len() as u64 > MAX_TRANSFER_LIST {
        let problem = "its transfer list is over 64 MiB";
        return Err(Error::entry(&parts.device, Kind::Exhausted, problem));
    }
    let zip = &package.zip;
    let new_data = || new_data(zip, &parts.new_data);
    let patches = Patches::open(zip, &parts.patches)?;
    let text = String::from_utf8_lossy(&parts.list);
    let list = match UnhashedList::parse(&text)? {
        None => TransferList::parse(&text)?,
        Some(list) if list.total_blocks == 0 => return Ok(()),
        Some(list) => {
            let hash = || add_hashes(context, (&parts.device, device), &list, &patches);
            TransferList::parse(&hashed(package, parts, state, work, hash)?)?
        }
    };
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
        Work::Update(attempt) => {
            begin()?;
            update.update(context, attempt)
        }
    }
}

/// The list with hashes: those that were taken before the first write of this package, or new ones,
/// kept before there is one.
fn hashed(
    package: &VerifiedPackage,
    parts: &Parts,
    state: &updraft_fs::Dir,
    work: Work,
    hash: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let (own, list) = (package.sha256(), Hashed::name_of(&parts.list));
    let kept = Hashed::read(state, &parts.device)?;
    if let Some(kept) = kept.filter(|kept| kept.package == own && kept.list == list) {
        return Ok(kept.text);
    }
    let text = hash()?;
    if let Work::Update(_) = work {
        let answers = parts.answers.clone();
        Hashed { package: own, list, answers, text: text.clone() }.write(state, &parts.device)?;
    }
    Ok(text)
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
    medium: Arc<Medium>,
    start: u64,
    size: u64,
}

impl Patches {
    fn open(zip: &Zip, name: &str) -> Result<Self> {
        let medium = zip.medium.clone();
        let Some(entry) = zip.entry(name) else { return Ok(Self { medium, start: 0, size: 0 }) };
        if entry.packing != Packing::Stored && entry.size > 0 {
            return Err(Error::entry(
                name,
                Kind::Unsupported,
                "patches have to be stored as they are",
            ));
        }
        let place = zip.place(entry)?;
        Ok(Self { medium, start: place.start, size: place.end - place.start })
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
        self.medium.read_at(piece, self.start + offset)
    }
}
