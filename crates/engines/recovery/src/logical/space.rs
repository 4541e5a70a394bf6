//! Room for logical partitions: which sectors nobody has, and who gets them.
//!
//! As AOSP does it: what is free begins at the device's alignment, and the first that is free is taken
//! first. Before that a partition gets what lies between its end and the next aligned sector, which
//! nobody else could have.

use updraft_payload::logical_partitions::{
    LogicalDevice, LogicalExtent, LogicalPartition, LogicalTable, SECTOR,
};

/// Sectors that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Free {
    device: u32,
    start: u64,
    end: u64,
}

/// Makes a partition larger by so many sectors, a multiple of those of a block. What it had stays where
/// it is. `Err`: how many there is no room for; nothing is changed then.
pub(super) fn grow(
    table: &mut LogicalTable,
    partition: usize,
    sectors: u64,
    of_block: u64,
) -> Result<(), u64> {
    let mut left = sectors;
    let mut found = Vec::new();
    for mut free in rest_of_last(table, partition).into_iter().chain(all(table)) {
        free.end -= (free.end - free.start) % of_block;
        let taken = left.min(free.end - free.start);
        if taken > 0 {
            let (device, start) = (free.device, free.start);
            found.push(LogicalExtent::Linear { sectors: taken, device, start });
            left -= taken;
        }
    }
    match table.partitions.get_mut(partition) {
        Some(own) if left == 0 => {
            for extent in found {
                add(own, extent);
            }
            Ok(())
        }
        _ => Err(left),
    }
}

/// Makes a partition smaller: it keeps its first sectors.
pub(super) fn shrink(partition: &mut LogicalPartition, sectors: u64) {
    let mut left = sectors;
    for extent in &mut partition.extents {
        let (LogicalExtent::Linear { sectors: own, .. } | LogicalExtent::Zero { sectors: own }) =
            extent;
        *own = left.min(*own);
        left -= *own;
    }
    partition.extents.retain(|extent| extent.sectors() > 0);
}

/// What a partition's last piece can have behind it up to the next aligned sector.
fn rest_of_last(table: &LogicalTable, partition: usize) -> Option<Free> {
    let last = table.partitions.get(partition)?.extents.last()?;
    let LogicalExtent::Linear { sectors, device, start: first } = *last else { return None };
    let on = table.devices.get(device as usize)?;
    let start = first.checked_add(sectors)?;
    let end = aligned(on, start)?.min(on.size / SECTOR);
    let taken = taken_on(table, device);
    let is_free = taken.iter().all(|(own, own_end)| *own_end <= start || *own >= end);
    (start < end && is_free).then_some(Free { device, start, end })
}

/// All that is free, in the order in which it is given away.
fn all(table: &LogicalTable) -> Vec<Free> {
    let mut free = Vec::new();
    for (device, on) in (0_u32..).zip(&table.devices) {
        let mut taken = taken_on(table, device);
        let last = on.size / SECTOR;
        taken.push((last, last));
        taken.sort_unstable();
        let mut before = on.first_sector;
        for (next, end) in taken {
            if let Some(start) = aligned(on, before).filter(|start| *start < next) {
                free.push(Free { device, start, end: next });
            }
            before = before.max(end);
        }
    }
    free
}

/// From where to where pieces on a device reach.
fn taken_on(table: &LogicalTable, device: u32) -> Vec<(u64, u64)> {
    let extents = table.partitions.iter().flat_map(|partition| &partition.extents);
    let taken = extents.filter_map(|extent| match *extent {
        LogicalExtent::Linear { sectors, device: own, start } if own == device && sectors > 0 => {
            Some((start, start.saturating_add(sectors)))
        }
        _ => None,
    });
    taken.collect()
}

/// This sector, or the next one at which a piece may begin.
fn aligned(device: &LogicalDevice, sector: u64) -> Option<u64> {
    match u64::from(device.alignment) / SECTOR {
        0 => Some(sector),
        alignment => sector.checked_next_multiple_of(alignment),
    }
}

/// Adds a piece at the end, to the one before it where that is possible.
fn add(partition: &mut LogicalPartition, extent: LogicalExtent) {
    if let Some(LogicalExtent::Linear { sectors, device, start }) = partition.extents.last_mut()
        && let LogicalExtent::Linear { sectors: more, device: on, start: next } = extent
        && *device == on
        && start.checked_add(*sectors) == Some(next)
    {
        *sectors += more;
    } else {
        partition.extents.push(extent);
    }
}
