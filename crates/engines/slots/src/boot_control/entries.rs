//! [`EntryNames`]: systemd-boot and others of the Boot Loader Specification, by one entry for each
//! slot, whose counter is in its name: `NAME+LEFT-DONE.conf`.
//!
//! Of entries that have tries left, or none to count, those with a `sort-key` come first, and of the same
//! key the one with the highest `version` is started; without the key only the names count. Those without
//! any tries come last. So a slot is made the active one by a key, a version above that of the other,
//! and a new counter: an entry is written anew beside the old one, and counts from the moment on at
//! which it has its name. The old one is removed then. Entries are on FAT as a rule: see
//! [`updraft_fs::fat`]. (systemd 250 and later, `boot.c`, `config_entry_compare`.)

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use updraft_bootenv::{
    BootCount, BootEntry, BootVerdict, CountedName, MAX_ENTRY_BYTES, version_cmp,
};
use updraft_error::Kind;
use updraft_fs::{Dir, fat};

use super::{BootControl, BootStatus, Counting, Slot, SlotStatus};
use crate::{Error, Result};

/// How many names are tried for an entry that cannot have its own at once.
const MAX_DETOURS: u32 = 10;
const SORT_KEY: &str = "sort-key";
/// What entries have that came without one.
const OUR_KEY: &str = "slots";
const MACHINE: &str = "machine-id";

/// Two entries in a folder.
#[derive(Debug, Clone)]
pub struct EntryNames {
    folder: PathBuf,
    names: [String; 2],
}

/// An entry that was found.
#[derive(Debug, Clone)]
struct Found {
    slot: Slot,
    file: String,
    name: CountedName,
    entry: BootEntry,
}

impl Found {
    fn version(&self) -> &str {
        self.entry.get("version").unwrap_or("0")
    }

    /// `Less` comes first, as for systemd-boot.
    fn offer_order(&self, other: &Self) -> Ordering {
        let is_bad = |one: &Self| one.name.verdict() == BootVerdict::Bad;
        let (key, other_key) = (self.entry.get(SORT_KEY), other.entry.get(SORT_KEY));
        let of_keys = || match (key, other_key) {
            (Some(key), Some(other_key)) => key
                .cmp(other_key)
                .then_with(|| self.entry.get(MACHINE).cmp(&other.entry.get(MACHINE)))
                .then_with(|| version_cmp(other.version(), self.version())),
            _ => Ordering::Equal,
        };
        is_bad(self)
            .cmp(&is_bad(other))
            .then(key.is_none().cmp(&other_key.is_none()))
            .then_with(of_keys)
            .then_with(|| version_cmp(&other.name.stem, &self.name.stem))
    }
}

impl EntryNames {
    /// With the folder of the entries, such as `/boot/loader/entries`, and the names of the slots'
    /// files, without counters and `.conf`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, names: [String; 2]) -> Self {
        Self { folder: folder.into(), names }
    }

    /// The entries of both slots, in the order in which they are offered.
    fn read(&self, folder: &Dir) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for file in folder.sorted_entries()? {
            let Some(file) = file.name.to_str() else { continue };
            let Ok(name) = file.parse::<CountedName>() else { continue };
            let slot = Slot::ALL.into_iter().find(|slot| *slot.of(&self.names) == name.stem);
            let Some(slot) = slot.filter(|_| Path::new(file).extension() == Some("conf".as_ref()))
            else {
                continue;
            };
            let bytes = folder.read(file, MAX_ENTRY_BYTES as u64)?;
            if bytes.is_empty() {
                // A rename was cut off: the entry has its old name too.
                continue;
            }
            let entry = BootEntry::parse(&bytes).map_err(|source| Error::BootEnvironment {
                path: self.folder.join(file),
                source,
            })?;
            all.push(Found { slot, file: file.to_owned(), name, entry });
        }
        for slot in Slot::ALL {
            if !all.iter().any(|found| found.slot == slot) {
                let problem = format!("it has no entry {}.conf", slot.of(&self.names));
                return Err(Error::boot_control(&self.folder, Kind::NotFound, problem));
            }
        }
        all.sort_by(Found::offer_order);
        Ok(all)
    }

    /// Gives the slot one entry, with this content and counter.
    fn replace(
        folder: &Dir,
        all: &[Found],
        mut new: Found,
        count: Option<BootCount>,
    ) -> Result<()> {
        new.name = CountedName::with_count(new.name.stem, count);
        let file = new.name.to_string();
        let bytes = new.entry.encode();
        let own: Vec<&Found> = all.iter().filter(|found| found.slot == new.slot).collect();
        if let [only] = own.as_slice()
            && only.file == file
            && only.entry == new.entry
        {
            return Ok(());
        }
        // What a cut left of an earlier rename, or the entry itself, may have the name.
        let detour = folder.exists(&file)?.then(|| detour(&new.name, count, &own)).flatten();
        if let Some(detour) = &detour {
            fat::remove(folder, Path::new(detour))?;
            fat::put_new(folder, detour, &bytes)?;
            fat::remove(folder, Path::new(&file))?;
        }
        // Commit point: this name where it is offered before the old ones, else the removal of those.
        fat::put_new(folder, &file, &bytes)?;
        for old in own.iter().map(|old| &old.file).chain(&detour).filter(|old| **old != file) {
            fat::remove(folder, Path::new(old))?;
        }
        Ok(())
    }

    fn change(&self, slot: Slot, count: impl FnOnce(&Found) -> Option<BootCount>) -> Result<()> {
        let folder = Dir::open(&self.folder)?;
        let all = self.read(&folder)?;
        let first = all.iter().find(|found| found.slot == slot);
        let Some(first) = first else { return Ok(()) };
        Self::replace(&folder, &all, first.clone(), count(first))
    }
}

/// Another name that means the same, for as long as an entry's own name is not free.
fn detour(name: &CountedName, count: Option<BootCount>, own: &[&Found]) -> Option<String> {
    let left = count.map_or(1, |count| count.left);
    (0..MAX_DETOURS)
        .map(|done| format!("{}+{left}-{done}.conf", name.stem))
        .find(|file| *file != name.to_string() && !own.iter().any(|found| found.file == *file))
}

impl BootControl for EntryNames {
    fn status(&self) -> Result<BootStatus> {
        let all = self.read(&Dir::open(&self.folder)?)?;
        let is_bad = |found: &Found| found.name.verdict() == BootVerdict::Bad;
        let slots = Slot::ALL.map(|slot| {
            let first = all.iter().find(|found| found.slot == slot);
            let count = first.and_then(|found| found.name.count);
            SlotStatus {
                is_bootable: first.is_some_and(|found| !is_bad(found)),
                is_successful: Some(count.is_none()),
                tries_left: count.map(|count| count.left),
            }
        });
        let active = all.first().filter(|found| !is_bad(found)).map(|found| found.slot);
        Ok(BootStatus { active, slots })
    }

    fn counting(&self) -> Counting {
        Counting { max_tries: u32::MAX, counts_successful: false }
    }

    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()> {
        let folder = Dir::open(&self.folder)?;
        let all = self.read(&folder)?;
        let first = |slot: Slot| all.iter().find(|found| found.slot == slot).cloned();
        let (Some(mut new), Some(other)) = (first(slot), first(slot.other())) else {
            return Ok(());
        };
        let malformed =
            |source| Error::BootEnvironment { path: self.folder.join(&other.file), source };
        // What is compared before the version has to be the same. One without a key comes after it.
        let key = other.entry.get(SORT_KEY).unwrap_or(OUR_KEY);
        new.entry.set(SORT_KEY, key).map_err(malformed)?;
        match other.entry.get(MACHINE) {
            Some(machine) => new.entry.set(MACHINE, machine).map_err(malformed)?,
            None => new.entry.remove(MACHINE),
        }
        let version = next_version(other.version());
        if version_cmp(new.version(), other.version()).is_le() {
            new.entry.set("version", &version).map_err(malformed)?;
        }
        let count = tries.map(|tries| BootCount { left: tries.max(1), done: 0 });
        Self::replace(&folder, &all, new, count)
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        // One that was never tried is bad all the same: `+0` alone is no counter for some readers.
        self.change(slot, |found| {
            let done = found.name.count.map_or(1, |count| count.done.max(1));
            Some(BootCount { left: 0, done })
        })
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        self.change(slot, |_| None)
    }
}

/// A version that is above this one.
fn next_version(version: &str) -> String {
    match version.parse::<u64>().ok().and_then(|number| number.checked_add(1)) {
        Some(next) if !version.starts_with('0') || version == "0" => next.to_string(),
        _ => format!("{version}.1"),
    }
}
