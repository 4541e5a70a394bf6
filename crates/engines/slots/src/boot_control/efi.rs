//! [`EfiEntries`]: firmware of EFI that chooses itself, by one boot entry for each slot.
//!
//! A slot that is known to work is the first of `BootOrder`; a new one is tried once, by `BootNext`,
//! which the firmware removes before it starts it. So what fails once falls back to the first of the
//! order, and a slot becomes that only when it is marked successful.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use updraft_bootenv::{EfiBootEntry, EfiBootOrder, efi_entry_number, efi_variable};
use updraft_error::Kind;
use updraft_fs::Dir;

use super::medium::Medium;
use super::{BootControl, BootStatus, Counting, Slot, SlotStatus};
use crate::{Error, Result};

const ORDER: &str = "BootOrder";
const NEXT: &str = "BootNext";
/// Longer variables no firmware keeps.
const MAX_VARIABLE: u64 = 1 << 20;

/// Boot entries in the firmware's variables.
#[derive(Debug, Clone)]
pub struct EfiEntries {
    folder: PathBuf,
    descriptions: [String; 2],
}

/// What there is of it.
struct Variables {
    entries: [u16; 2],
    order: Vec<u16>,
    next: Option<u16>,
}

impl EfiEntries {
    /// With the folder of the variables, such as `/sys/firmware/efi/efivars`, and the names of the
    /// slots' entries, as `efibootmgr` shows them.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, descriptions: [String; 2]) -> Self {
        Self { folder: folder.into(), descriptions }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(efi_variable(name))
    }

    fn read(&self) -> Result<Variables> {
        let order = self.read_order(ORDER)?.unwrap_or_default();
        let next = self.read_order(NEXT)?.and_then(|next| next.first().copied());
        Ok(Variables { entries: self.entries()?, order, next })
    }

    fn read_order(&self, name: &str) -> Result<Option<Vec<u16>>> {
        let path = self.path(name);
        let medium = Medium::new(&path);
        match medium.read(MAX_VARIABLE) {
            Ok(bytes) => {
                let order = EfiBootOrder::parse(&bytes).map_err(|it| medium.malformed(it))?;
                Ok(Some(order.0))
            }
            Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The numbers of the slots' entries.
    fn entries(&self) -> Result<[u16; 2]> {
        let folder = Dir::open(&self.folder)?;
        let mut found: [Vec<u16>; 2] = Default::default();
        for file in folder.sorted_entries()? {
            let name = file.name.to_str().unwrap_or_default();
            let Some(number) = efi_entry_number(name) else { continue };
            let medium = Medium::new(self.folder.join(name));
            // One that is damaged is none of ours.
            let Ok(entry) = EfiBootEntry::parse(&medium.read(MAX_VARIABLE)?) else { continue };
            for slot in Slot::ALL {
                if *slot.of(&self.descriptions) == entry.description {
                    slot.of_mut(&mut found).push(number);
                }
            }
        }
        let one = |slot: Slot| match slot.of(&found).as_slice() {
            [one] => Ok(*one),
            numbers => {
                let how_many = if numbers.is_empty() { "no" } else { "more than one" };
                let name = slot.of(&self.descriptions);
                let problem = format!("it has {how_many} boot entry with the name {name:?}");
                Err(Error::boot_control(&self.folder, Kind::NotFound, problem))
            }
        };
        Ok([one(Slot::A)?, one(Slot::B)?])
    }

    /// Sets a variable, whose file takes it in one write.
    fn write(&self, name: &str, order: Vec<u16>) -> Result<()> {
        let path = self.path(name);
        let bytes = EfiBootOrder(order).encode();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        updraft_fs::fault::check()
            .map_err(std::io::Error::from)
            .and_then(|()| options.open(&path))
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| make_durable(&file)))
            .map_err(Error::file("write", &path))
    }

    /// Makes sure that the firmware starts the first of the order.
    fn remove_next(&self) -> Result<()> {
        let folder = Dir::open(&self.folder)?;
        folder.try_unlink(Path::new(&efi_variable(NEXT)))?;
        Ok(())
    }
}

/// A variable is in the firmware's hands when its write is done, and its file system knows no `fsync`.
fn make_durable(file: &File) -> std::io::Result<()> {
    match file.sync_all() {
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        done => done,
    }
}

impl Variables {
    fn slot(&self, number: u16) -> Option<Slot> {
        Slot::ALL.into_iter().find(|slot| *slot.of(&self.entries) == number)
    }

    fn first(&self) -> Option<Slot> {
        self.order.iter().find_map(|number| self.slot(*number))
    }

    fn next(&self) -> Option<Slot> {
        self.next.and_then(|number| self.slot(number))
    }

    /// The order with this slot before the other one, and before all others.
    fn order_with_first(&self, slot: Slot) -> Vec<u16> {
        let number = *slot.of(&self.entries);
        let others = self.order.iter().copied().filter(|one| *one != number);
        [number].into_iter().chain(others).collect()
    }
}

impl BootControl for EfiEntries {
    fn status(&self) -> Result<BootStatus> {
        let variables = self.read()?;
        let (first, next) = (variables.first(), variables.next());
        let slots = Slot::ALL.map(|slot| {
            let is_ordered = variables.order.contains(slot.of(&variables.entries));
            let is_next = next == Some(slot);
            SlotStatus {
                is_bootable: is_ordered || is_next,
                is_successful: Some(is_ordered),
                tries_left: (!is_ordered).then_some(u32::from(is_next)),
            }
        });
        Ok(BootStatus { active: next.or(first), slots })
    }

    fn counting(&self) -> Counting {
        Counting { max_tries: 1, counts_successful: false }
    }

    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()> {
        let variables = self.read()?;
        if tries.is_some() && variables.first() != Some(slot) {
            // Commit point: the one variable.
            return self.write(NEXT, vec![*slot.of(&variables.entries)]);
        }
        if variables.next() == Some(slot.other()) {
            self.remove_next()?;
        }
        // Commit point: the one variable.
        self.write(ORDER, variables.order_with_first(slot))
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        let variables = self.read()?;
        if variables.next() == Some(slot) {
            self.remove_next()?;
        }
        let number = *slot.of(&variables.entries);
        let order: Vec<u16> = variables.order.iter().copied().filter(|it| *it != number).collect();
        if order.len() == variables.order.len() {
            return Ok(());
        }
        // Commit point: the one variable.
        self.write(ORDER, order)
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        let variables = self.read()?;
        // Commit point: the one variable.
        self.write(ORDER, variables.order_with_first(slot))
    }
}
