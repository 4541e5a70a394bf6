//! [`GptAttributes`]: boot loaders that keep it in the attributes of partitions, as those of ChromeOS
//! and Bottlerocket do.
//!
//! The partition table is there twice, and each copy has checksums. Whoever reads it takes the first
//! copy, and the second where the first is damaged. So the copy that does not count is written first:
//! while it is torn, the other one says what was; once it is whole, the one that counts is written, and
//! while that is torn, the written one says what is to be.

use std::path::{Path, PathBuf};

use updraft_bootenv::{GptCopy, GptPartition, SlotAttributes};
use updraft_error::Kind;

use super::medium::Medium;
use super::{BootControl, BootStatus, Counting, Slot, SlotStatus};
use crate::{Error, Result};

const SECTORS: [u64; 2] = [512, 4096];
const FIRST: u64 = 1;

/// Attributes of two partitions of a disk.
#[derive(Debug, Clone)]
pub struct GptAttributes {
    disk: Medium,
    partitions: [String; 2],
}

/// What there is of a table.
struct Tables {
    sector: u64,
    first: Option<GptCopy>,
    second: Option<GptCopy>,
}

impl GptAttributes {
    /// With the disk, or an image of one, and the labels of the slots' partitions.
    #[must_use]
    pub fn new(disk: impl Into<PathBuf>, partitions: [String; 2]) -> Self {
        Self { disk: Medium::new(disk), partitions }
    }

    /// The partitions of a disk, or of an image of one, with their numbers, from 1.
    pub(crate) fn partitions_of(disk: &Path) -> Result<Vec<(usize, GptPartition)>> {
        let whole = Self::new(disk, [String::new(), String::new()]);
        let tables = whole.read()?;
        Ok(whole.counting_copy(&tables)?.partitions().collect())
    }

    fn read(&self) -> Result<Tables> {
        let mut problem = None;
        let size = self.disk.size()?;
        for sector in SECTORS {
            let last = (size / sector).saturating_sub(1);
            let first = self.read_copy(sector, FIRST);
            let last = first.as_ref().map_or(last, GptCopy::other_sector);
            match (first, self.read_copy(sector, last)) {
                (Err(error), Err(_)) => {
                    problem.get_or_insert(error);
                }
                (first, second) => {
                    let (first, second) = (first.ok(), second.ok());
                    return Ok(Tables { sector, first, second });
                }
            }
        }
        let none = || Error::boot_control(self.disk.path(), Kind::Invalid, "it has no table");
        Err(problem.unwrap_or_else(none))
    }

    fn read_copy(&self, sector: u64, at: u64) -> Result<GptCopy> {
        let malformed = |source| self.disk.malformed(source);
        let len = usize::try_from(sector).unwrap_or_default();
        let header = self.disk.read_at(at.saturating_mul(sector), len)?;
        let place = GptCopy::entries_place(&header, at).map_err(malformed)?;
        let entries = self.disk.read_at(place.sector.saturating_mul(sector), place.len)?;
        GptCopy::parse(header, at, entries).map_err(malformed)
    }

    /// Number and attributes of the slots' partitions.
    fn find(&self, table: &GptCopy) -> Result<[(usize, GptPartition); 2]> {
        let find = |label: &String| {
            let mut found = table.partitions().filter(|(_, one)| one.name == *label);
            let first = found.next();
            let problem = match (first, found.next()) {
                (Some(partition), None) => return Ok(partition),
                (None, _) => format!("it has no partition with the label {label}"),
                (Some(_), Some(_)) => format!("it has several partitions with the label {label}"),
            };
            Err(Error::boot_control(self.disk.path(), Kind::NotFound, problem))
        };
        let [a, b] = &self.partitions;
        Ok([find(a)?, find(b)?])
    }

    fn slots(&self) -> Result<[SlotAttributes; 2]> {
        let tables = self.read()?;
        let table = self.counting_copy(&tables)?;
        Ok(self.find(table)?.map(|(_, partition)| SlotAttributes::of(partition.attributes)))
    }

    fn counting_copy<'a>(&self, tables: &'a Tables) -> Result<&'a GptCopy> {
        let none = || Error::boot_control(self.disk.path(), Kind::Invalid, "it has no table");
        tables.first.as_ref().or(tables.second.as_ref()).ok_or_else(none)
    }

    fn change(&self, change: impl FnOnce(&mut [SlotAttributes; 2])) -> Result<()> {
        let tables = self.read()?;
        let mut table = self.counting_copy(&tables)?.clone();
        let last = self.disk.size()? / tables.sector;
        if tables.first.is_some() && table.other_sector() >= last {
            let problem = "its partition table is for a larger disk: there is no room for its copy";
            return Err(Error::boot_control(self.disk.path(), Kind::Invalid, problem));
        }
        let partitions = self.find(&table)?;
        let mut slots = partitions.each_ref().map(|(_, it)| SlotAttributes::of(it.attributes));
        change(&mut slots);
        for ((number, partition), slot) in partitions.iter().zip(slots) {
            table.set_attributes(*number, slot.within(partition.attributes));
        }
        let entries = (table.entries().len() as u64).div_ceil(tables.sector);
        let place =
            |copy: &Option<GptCopy>, usual| copy.as_ref().map_or(usual, GptCopy::entries_sector);
        if tables.first.is_some() {
            let usual = table.other_sector().saturating_sub(entries);
            let second = table.mirrored(place(&tables.second, usual));
            self.write(tables.sector, table.other_sector(), &second)?;
            // Commit point: the first byte of this that differs; from there on the second counts, or
            // the first as it is now.
            self.write(tables.sector, FIRST, &table)
        } else {
            let first = table.mirrored(FIRST + 1);
            // Commit point: the last byte that makes the first copy whole, which then counts.
            self.write(tables.sector, FIRST, &first)?;
            self.write(tables.sector, first.other_sector(), &table)
        }
    }

    fn write(&self, sector: u64, at: u64, copy: &GptCopy) -> Result<()> {
        self.disk.write_at(copy.entries_sector().saturating_mul(sector), copy.entries())?;
        self.disk.write_at(at.saturating_mul(sector), copy.header())
    }
}

impl BootControl for GptAttributes {
    fn status(&self) -> Result<BootStatus> {
        let slots = self.slots()?;
        let bootable = Slot::ALL.into_iter().filter(|slot| slot.of(&slots).is_bootable());
        // Of two that are equal the first is taken.
        let active = bootable.rev().max_by_key(|slot| slot.of(&slots).priority);
        let slots = slots.map(|slot| SlotStatus {
            is_bootable: slot.is_bootable(),
            is_successful: Some(slot.successful && slot.priority > 0),
            tries_left: (!slot.successful).then_some(u32::from(slot.tries)),
        });
        Ok(BootStatus { active, slots })
    }

    fn counting(&self) -> Counting {
        Counting { max_tries: SlotAttributes::MAX.into(), counts_successful: false }
    }

    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()> {
        let max = SlotAttributes::MAX;
        self.change(|slots| {
            let other = slot.other().of_mut(slots);
            other.priority = other.priority.min(max - 1);
            let bounded = |tries: u32| u8::try_from(tries.max(1)).unwrap_or(max).min(max);
            *slot.of_mut(slots) = SlotAttributes {
                priority: max,
                tries: tries.map_or(0, bounded),
                successful: tries.is_none(),
            };
        })
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        self.change(|slots| {
            *slot.of_mut(slots) = SlotAttributes { priority: 0, tries: 0, successful: false };
        })
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        self.change(|slots| {
            let slot = slot.of_mut(slots);
            (slot.tries, slot.successful) = (0, true);
        })
    }
}
