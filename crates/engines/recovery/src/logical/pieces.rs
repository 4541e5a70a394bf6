//! [`Pieces`]: a logical partition as a device, of the pieces that it is made of.

use std::io;

use updraft_error::Kind;
use updraft_payload::logical_partitions::{
    LogicalDevice, LogicalExtent, LogicalPartition, LogicalTable, SECTOR,
};

use super::SuperPartition;
use crate::{BlockDevice, Error, FileDevice, Result, System};

/// Where partitions of the disk are, by their names.
const BY_NAME: &str = "/dev/block/by-name/";

/// Opens a logical partition as the table has it now.
///
/// # Errors
/// When there is none, or what it lies on cannot be opened.
pub(crate) fn open(system: &System, name: &str) -> Result<Box<dyn BlockDevice>> {
    let path = system.super_partition();
    let first = disk(system, &path)?;
    let table = SuperPartition::read(&path, &*first)?.table()?;
    let bad = |kind, problem: String| Error::logical(&path, kind, problem);
    let none = || bad(Kind::NotFound, format!("there is no partition {name}"));
    let partition = table.partition(name).ok_or_else(none)?;
    let by_slot = LogicalPartition::BY_SLOT | LogicalPartition::DISABLED;
    if partition.attributes & by_slot != 0 {
        let problem = format!("partition {name} is disabled, or one of two slots");
        return Err(bad(Kind::Unsupported, problem));
    }
    Pieces::new(system, first, &table, partition).map(|it| Box::new(it) as Box<dyn BlockDevice>)
}

/// The pieces, one after the other.
struct Pieces {
    devices: Vec<Option<Box<dyn BlockDevice>>>,
    parts: Vec<Piece>,
    size: u64,
}

struct Piece {
    start: u64,
    length: u64,
    /// The device, and from which byte of it on. `None`: zeros.
    place: Option<(usize, u64)>,
}

/// What is done with bytes of one piece.
type OfPiece<'a> =
    &'a mut dyn FnMut(Option<&dyn BlockDevice>, u64, std::ops::Range<u64>) -> io::Result<()>;

impl Pieces {
    fn new(
        system: &System,
        first: Box<dyn BlockDevice>,
        table: &LogicalTable,
        partition: &LogicalPartition,
    ) -> Result<Self> {
        let (mut parts, mut size) = (Vec::new(), 0);
        let mut devices: Vec<Option<Box<dyn BlockDevice>>> = vec![Some(first)];
        devices.resize_with(table.devices.len(), || None);
        for extent in &partition.extents {
            let length = extent.sectors() * SECTOR;
            let place = match *extent {
                LogicalExtent::Zero { .. } => None,
                LogicalExtent::Linear { device, start, .. } => {
                    let index = device as usize;
                    if let Some(place @ None) = devices.get_mut(index)
                        && let Some(on) = table.devices.get(index)
                    {
                        *place = Some(open_other(system, on)?);
                    }
                    Some((index, start * SECTOR))
                }
            };
            parts.push(Piece { start: size, length, place });
            size += length;
        }
        Ok(Self { devices, parts, size })
    }

    /// What of these bytes is in which piece: the device if it has one, where on it, and which of them.
    fn each(&self, offset: u64, length: u64, what: OfPiece<'_>) -> io::Result<()> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size);
        let beyond = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = end.ok_or_else(beyond)?;
        for piece in &self.parts {
            let from = offset.max(piece.start);
            let to = end.min(piece.start + piece.length);
            if from >= to {
                continue;
            }
            let own = from - offset..to - offset;
            match piece.place {
                None => what(None, 0, own)?,
                Some((device, at)) => {
                    let device = self.devices.get(device).and_then(Option::as_deref);
                    let device = device.ok_or_else(beyond)?;
                    what(Some(device), at + (from - piece.start), own)?;
                }
            }
        }
        Ok(())
    }
}

impl BlockDevice for Pieces {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.each(offset, buffer.len() as u64, &mut |device, at, own| {
            let piece = buffer.get_mut(indices(&own)).unwrap_or_default();
            if let Some(device) = device {
                return device.read_exact_at(piece, at);
            }
            piece.fill(0);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.each(offset, bytes.len() as u64, &mut |device, at, own| {
            let piece = bytes.get(indices(&own)).unwrap_or_default();
            match device {
                Some(device) => device.write_all_at(piece, at),
                // Device mapper would drop it without a word.
                None if piece.iter().any(|byte| *byte != 0) => {
                    let problem = "these blocks of the partition are always zeros";
                    Err(io::Error::new(io::ErrorKind::Unsupported, problem))
                }
                None => Ok(()),
            }
        })
    }

    fn erase(&self, offset: u64, length: u64) -> io::Result<()> {
        self.each(offset, length, &mut |device, at, own| match device {
            Some(device) => device.erase(at, own.end - own.start),
            None => Ok(()),
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.devices.iter().flatten().try_for_each(|device| device.sync())
    }
}

/// A partition that is no logical one.
fn disk(system: &System, path: &str) -> Result<Box<dyn BlockDevice>> {
    Ok(Box::new(FileDevice::open(&system.node(path)?)?))
}

fn indices(range: &std::ops::Range<u64>) -> std::ops::Range<usize> {
    let index = |byte| usize::try_from(byte).unwrap_or(usize::MAX);
    index(range.start)..index(range.end)
}

/// A device that has no table of its own.
fn open_other(system: &System, device: &LogicalDevice) -> Result<Box<dyn BlockDevice>> {
    let path = format!("{BY_NAME}{}", device.name);
    if device.flags & LogicalDevice::BY_SLOT != 0 {
        let problem = "a partition is on it whose name is one of two slots".to_owned();
        return Err(Error::logical(&path, Kind::Unsupported, problem));
    }
    let opened = disk(system, &path)?;
    if opened.size().map_err(Error::file("measure", &path))? < device.size {
        let problem = "the table of logical partitions is for a larger device".to_owned();
        return Err(Error::logical(&path, Kind::Conflict, problem));
    }
    Ok(opened)
}
