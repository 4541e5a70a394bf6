//! [`PartitionSpec`]: the content of a partition, and making it of another by a patch.
//!
//! What holds: nothing is written before the result is known to be right; the source is set aside
//! first, because source and target may be one; what was written is read again.

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};

use crate::block::sha1;
use crate::{BlockDevice, Error, Result, System};

/// Where the source is set aside.
const SAVED: &str = "saved.file";
/// The largest partition that is patched, in bytes: it is held in memory.
const MAX: u64 = 256 << 20;
/// How often writing is tried.
const ATTEMPTS: usize = 2;

/// `EMMC:/dev/block/by-name/boot:SIZE:SHA1`: the first bytes of a partition, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSpec {
    device: String,
    size: u64,
    sha1: [u8; 20],
}

impl PartitionSpec {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Partition`].
    pub fn parse(text: &str) -> Result<Self> {
        let bad =
            |problem| Error::Partition { spec: text.to_owned(), problem, kind: Kind::Invalid };
        let words: Vec<&str> = text.split(':').collect();
        let ["EMMC", device, size, hash] = words[..] else {
            return Err(bad("it is not EMMC:DEVICE:SIZE:SHA1"));
        };
        let size = size.parse().ok().filter(|size| *size <= MAX);
        let size = size.ok_or_else(|| bad("its size is none, or over 256 MiB"))?;
        let hash = hex::decode(hash).ok().and_then(|bytes| bytes.try_into().ok());
        let sha1 = hash.ok_or_else(|| bad("its hash is no SHA-1"))?;
        Ok(Self { device: device.to_owned(), size, sha1 })
    }

    /// Its content, when that is what it says.
    fn read(&self, system: &System) -> Result<Option<Vec<u8>>> {
        let device = system.device(&self.device)?;
        let failed = || Error::file("read", &self.device);
        if device.size().map_err(failed())? < self.size {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
        device.read_exact_at(&mut bytes, 0).map_err(failed())?;
        Ok((sha1(&bytes) == self.sha1).then_some(bytes))
    }

    /// Whether this is its content.
    fn check(&self, content: &[u8]) -> Result<()> {
        if content.len() as u64 == self.size && sha1(content) == self.sha1 {
            return Ok(());
        }
        let problem = "what would be written is not what it says; nothing was written";
        Err(self.bad(Kind::Invalid, problem))
    }

    fn bad(&self, kind: Kind, problem: &'static str) -> Error {
        let Self { device, size, sha1 } = self;
        let spec = format!("EMMC:{device}:{size}:{}", hex::encode(sha1));
        Error::Partition { spec, problem, kind }
    }
}

/// Whether a partition has the content that is told.
///
/// # Errors
/// When it cannot be read.
pub fn partition_is(system: &System, spec: &PartitionSpec) -> Result<bool> {
    Ok(spec.read(system)?.is_some())
}

/// Whether a partition is what it should become, or can be made that.
///
/// # Errors
/// When it cannot be read.
pub fn can_patch(
    system: &System,
    state: &Dir,
    target: &PartitionSpec,
    source: &PartitionSpec,
) -> Result<bool> {
    Ok(partition_is(system, target)? || self::source(system, state, source)?.is_some())
}

/// Makes a partition of another one by a patch of bsdiff or imgdiff. Does nothing when it is that
/// already, so that it may be called at every start.
///
/// # Errors
/// [`Error::Partition`]: the source is another, or the patch makes something else; nothing is written
/// then.
pub fn patch_partition(
    system: &System,
    state: &Dir,
    target: &PartitionSpec,
    source: &PartitionSpec,
    (patch, bonus): (&[u8], &[u8]),
) -> Result<()> {
    if partition_is(system, target)? {
        return Ok(());
    }
    let bytes = self::source(system, state, source)?;
    let bytes = bytes.ok_or_else(|| {
        source.bad(Kind::Conflict, "it is not what the patch was made for, and nobody saved that")
    })?;
    let made = crate::patch::apply(&bytes, patch, bonus, MAX);
    let made = made.map_err(|problem| target.bad(Kind::Invalid, problem))?;
    target.check(&made)?;
    atomic_write(state, SAVED, &bytes, 0o600)?;
    flash(system, target, &made)?;
    // Without its source a patch is of no use; with the target right nobody needs it.
    state.try_unlink(SAVED)?;
    Ok(state.sync()?)
}

/// Writes a partition, unless it has that content already.
///
/// # Errors
/// [`Error::Partition`]: the content is not what is told; nothing is written then.
pub fn flash_partition(system: &System, target: &PartitionSpec, content: &[u8]) -> Result<()> {
    if partition_is(system, target)? { Ok(()) } else { flash(system, target, content) }
}

fn flash(system: &System, target: &PartitionSpec, content: &[u8]) -> Result<()> {
    target.check(content)?;
    let device = system.device(&target.device)?;
    let failed = || Error::file("write", &target.device);
    if device.size().map_err(failed())? < target.size {
        return Err(target.bad(Kind::Exhausted, "the device is smaller"));
    }
    for _ in 0..ATTEMPTS {
        device.write_all_at(content, 0).and_then(|()| device.sync()).map_err(failed())?;
        if partition_is(system, target)? {
            return Ok(());
        }
    }
    Err(target.bad(Kind::Unavailable, "the device does not keep what is written to it"))
}

/// The source, from its place or from where it was set aside.
fn source(system: &System, state: &Dir, source: &PartitionSpec) -> Result<Option<Vec<u8>>> {
    if let Some(bytes) = source.read(system)? {
        return Ok(Some(bytes));
    }
    let saved = state.try_read(SAVED, MAX)?;
    Ok(saved.filter(|bytes| sha1(bytes) == source.sha1))
}

/// A device that nothing of is known, for the whole of what is written.
pub(crate) fn write_whole(device: &dyn BlockDevice, name: &str, content: &[u8]) -> Result<()> {
    let failed = || Error::file("write", name);
    if device.size().map_err(failed())? < content.len() as u64 {
        return Err(Error::entry(name, Kind::Exhausted, "the device is smaller"));
    }
    device.write_all_at(content, 0).and_then(|()| device.sync()).map_err(failed())
}
