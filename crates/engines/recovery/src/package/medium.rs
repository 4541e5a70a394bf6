//! [`Medium`]: the bytes of a package, in a file or scattered over a device.

use std::fs::File;
use std::io;
use std::path::Path;

use updraft_delta::ReadAt;
use updraft_payload::{BlockMap, MAX_BLOCK_MAP};

use crate::{Error, Result, System};

#[derive(Debug)]
pub(crate) enum Medium {
    File(File),
    /// Each part with where it begins in the package.
    Mapped {
        device: File,
        size: u64,
        parts: Vec<(u64, std::ops::Range<u64>)>,
    },
}

impl Medium {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self::File(File::open(path).map_err(Error::file("open", path))?))
    }

    /// The package whose parts a block map names.
    pub(crate) fn open_mapped(system: &System, map: &Path) -> Result<Self> {
        use std::io::Read as _;

        let mut text = String::new();
        let file = File::open(map).map_err(Error::file("open", map))?;
        let read = file.take(MAX_BLOCK_MAP + 1).read_to_string(&mut text);
        read.map_err(Error::file("read", map))?;
        let BlockMap { device, size, ranges } = BlockMap::parse(&text)?;
        let node = system.node(&device)?;
        let device = File::open(&node).map_err(Error::file("open", &node))?;
        let parts = ranges.into_iter().scan(0_u64, |at, range| {
            let start = *at;
            // All of them together have the size of the package, rounded up.
            *at = start.saturating_add(range.end - range.start);
            Some((start, range))
        });
        Ok(Self::Mapped { device, size, parts: parts.collect() })
    }
}

impl ReadAt for Medium {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Mapped { size, .. } => Ok(*size),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (device, size, parts) = match self {
            Self::File(file) => return file.read_at(buffer, offset),
            Self::Mapped { device, size, parts } => (device, *size, parts),
        };
        let index = parts.partition_point(|(start, _)| *start <= offset).checked_sub(1);
        let Some((start, range)) = index.and_then(|index| parts.get(index)) else { return Ok(0) };
        let within = offset - start;
        let left =
            (range.end - range.start).saturating_sub(within).min(size.saturating_sub(offset));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        device.read_at(buffer.get_mut(..most).unwrap_or_default(), range.start + within)
    }
}
