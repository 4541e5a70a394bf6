//! What is offered on a file system without links: entries, and unified kernel images.
//!
//! Both are ordered by the number in their names alone. Images carry no sort key and no version
//! that a boot loader would look at first; so another order is another name, and nothing large
//! has to be written for it.

use std::collections::{BTreeMap, BTreeSet};

use updraft_bootenv::{BootEntry, CountedName, EntryName};
use updraft_fs::Dir;

use super::names::ensure_dir;
use crate::boot_loader::offered;
use crate::{Deployment, DeploymentId, Result, Sysroot};

/// How something is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry that names a kernel (BLS type 1).
    Entry,
    /// A unified kernel image (BLS type 2).
    Image,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Entry, Self::Image];

    /// Where such files are.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Entry => "loader/entries",
            Self::Image => "EFI/Linux",
        }
    }

    /// The name of the file with this number.
    pub(crate) fn file_name(self, number: u32, deployment: &Deployment) -> String {
        let stem = EntryName { number, stateroot: None }.stem();
        let name = CountedName::with_count(stem, deployment.boot_count);
        match self {
            Self::Entry => name.to_string(),
            Self::Image => name.of_image().to_string(),
        }
    }
}

/// A file that offers a deployment.
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) entry: BootEntry,
    pub(crate) deployment: Deployment,
}

impl Sysroot {
    /// All that is offered there, the highest number first.
    pub(crate) fn esp_offers(&self, esp: &Dir) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        for kind in Kind::ALL {
            let Some(folder) = esp.try_open_dir(kind.folder())? else { continue };
            for (name, entry) in offered(&folder)? {
                let deployment = self.load_entry(&name, &entry)?;
                let number = number_of(&name);
                offers.push(Offer { kind, name, number, entry, deployment });
            }
        }
        offers.sort_by_key(|offer| std::cmp::Reverse(offer.number));
        Ok(offers)
    }
}

/// The number in the name of one of our files.
fn number_of(name: &str) -> u32 {
    let digits = name.strip_prefix("ostree-").unwrap_or_default();
    let end = digits.find(|one: char| !one.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Numbers for a list, descending. `kept` has the numbers of files that can stay as they are; as
/// many as possible keep theirs, and no number that is `used` by another is given.
pub(crate) fn numbers(kept: &[Option<u32>], used: &BTreeSet<u32>) -> Vec<u32> {
    let highest = used.last().copied().unwrap_or(0);
    let last_kept = kept.iter().rposition(Option::is_some).map_or(0, |at| at + 1);
    let tail = kept.len() - last_kept;
    let mut start = last_kept;
    let mut lowest = u32::MAX;
    let mut next = 0;
    while let Some(number) = start.checked_sub(1).and_then(|at| kept.get(at).copied().flatten())
        && number > next
    {
        lowest = lowest.min(number);
        next = number;
        start -= 1;
    }
    let free = (1..lowest).rev().filter(|number| !used.contains(number));
    let mut below: Vec<u32> = if tail > 0 { free.take(tail).collect() } else { Vec::new() };
    if last_kept == 0 || below.len() < tail {
        start = kept.len();
        below.clear();
    } else if start == 0 && next < highest {
        // What goes stands above the default until it is gone.
        start = 1;
    }
    let mut numbers = Vec::with_capacity(kept.len());
    for at in 0..start {
        let above = u32::try_from(start - at).unwrap_or(u32::MAX);
        numbers.push(highest.saturating_add(above));
    }
    numbers.extend(kept.get(start..last_kept.max(start)).unwrap_or_default().iter().flatten());
    numbers.extend(below);
    numbers
}

/// Numbers those that share a kernel so that a deployment keeps its number while it is offered,
/// and a new one takes none that is in use.
pub(crate) fn with_lasting_serials(current: &[Deployment], list: &[Deployment]) -> Vec<Deployment> {
    let key = |one: &Deployment| (one.id.stateroot.clone(), one.boot_checksum.clone());
    let mut used: BTreeMap<(String, String), BTreeSet<u32>> = BTreeMap::new();
    let known: BTreeMap<&DeploymentId, &Deployment> =
        current.iter().map(|one| (&one.id, one)).collect();
    for one in current {
        used.entry(key(one)).or_default().insert(one.boot_serial);
    }
    let mut list = list.to_vec();
    for one in &mut list {
        let old = known.get(&one.id).filter(|old| old.boot_checksum == one.boot_checksum);
        if let Some(old) = old {
            one.boot_serial = old.boot_serial;
            continue;
        }
        let taken = used.entry(key(one)).or_default();
        let free = (0..u32::MAX).find(|serial| !taken.contains(serial)).unwrap_or(u32::MAX);
        taken.insert(free);
        one.boot_serial = free;
    }
    list
}

/// Whether the image of one is right for the other: everything but its name is the same.
pub(crate) fn same_image(old: &Deployment, new: &Deployment) -> bool {
    old.id == new.id
        && old.boot_checksum == new.boot_checksum
        && old.boot_serial == new.boot_serial
        && old.kernel_args == new.kernel_args
        && old.overlay_initrds == new.overlay_initrds
}

/// Opens the folder of such files.
pub(crate) fn open(esp: &Dir, kind: Kind) -> Result<Dir> {
    let (above, folder) = kind.folder().split_once('/').unwrap_or((".", kind.folder()));
    ensure_dir(esp, &ensure_dir(esp, esp, above)?, folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::numbers;

    #[test]
    fn as_many_as_possible_keep_their_numbers() {
        let check = |kept: &[u32], used: &[u32], expected: &[u32]| {
            let kept: Vec<Option<u32>> = kept.iter().map(|n| (*n > 0).then_some(*n)).collect();
            let used: BTreeSet<u32> = used.iter().copied().collect();
            assert_eq!(numbers(&kept, &used), expected, "{kept:?} of {used:?}");
        };
        check(&[], &[], &[]);
        check(&[0], &[], &[1]);
        check(&[0, 0], &[7], &[9, 8]);
        // A new default, one that becomes the default, and one that goes.
        check(&[0, 5, 4], &[5, 4], &[6, 5, 4]);
        check(&[4, 5], &[5, 4], &[6, 5]);
        check(&[5], &[5, 4], &[5]);
        check(&[4], &[5, 4], &[6]);
        check(&[4, 3], &[5, 4, 3], &[6, 3]);
        check(&[4, 0, 5, 3], &[5, 4, 3], &[7, 6, 5, 3]);
        // One that comes last: below, where there is room, which nobody uses.
        check(&[5, 4, 0], &[5, 4], &[5, 4, 3]);
        check(&[5, 0], &[5, 4], &[5, 3]);
        check(&[2, 0], &[2, 1], &[4, 3]);
        check(&[2, 1, 0], &[2, 1], &[5, 4, 3]);
        check(&[4, 5, 0], &[5, 4], &[6, 5, 3]);
    }
}
