//! Names of boot loader entry files, and the order in which entries are offered.
//!
//! libostree orders its entries by the key `version`, compared as glibc's `strverscmp` does,
//! highest first: the first is the default.

use std::cmp::Ordering;

use crate::BootEntry;

/// The file name of one of our entries: `ostree-N.conf` or, with the older naming,
/// `ostree-N-STATEROOT.conf`, perhaps with boot counters `+TRIES` or `+TRIES-DONE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// Number of entries minus the index of this one: the default has the highest.
    pub number: u32,
    /// The stateroot, when the older naming is used (libostree before 2023.6).
    pub stateroot: Option<String>,
}

impl EntryName {
    /// The file name.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.conf", self.stem())
    }

    /// The file name without counters and `.conf`.
    #[must_use]
    pub fn stem(&self) -> String {
        match &self.stateroot {
            Some(stateroot) => format!("ostree-{}-{stateroot}", self.number),
            None => format!("ostree-{}", self.number),
        }
    }

    /// Whether a file in `loader/entries` is one that belongs to OSTree deployments.
    #[must_use]
    pub fn is_ours(file_name: &str) -> bool {
        file_name.strip_suffix(".conf").is_some_and(|stem| stem.starts_with("ostree-"))
    }

    /// Whether a file in `EFI/Linux` is a unified kernel image of a deployment.
    #[must_use]
    pub fn is_our_image(file_name: &str) -> bool {
        file_name.strip_suffix(".efi").is_some_and(|stem| stem.starts_with("ostree-"))
    }
}

impl BootEntry {
    /// The order in which entries are offered: `Less` comes first, as it has the higher version.
    #[must_use]
    pub fn offer_order(&self, other: &Self) -> Ordering {
        let version = |entry: &Self| entry.get("version").unwrap_or("0").to_owned();
        version_cmp(&version(other), &version(self))
    }
}

/// Compares two version strings as glibc's `strverscmp`: runs of digits by value, where runs
/// that begin with zeros are fractions and sort before others.
#[must_use]
pub fn version_cmp(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let digit = |bytes: &[u8], at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let plain = left.get(same).cmp(&right.get(same));
    // Where the common part ends inside a run of digits, the run began at `start`.
    let start = left[..same].iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |at| at + 1);
    let (digit_left, digit_right) = (digit(left, same), digit(right, same));
    if start >= same && !(digit_left && digit_right) {
        return plain;
    }
    let leading_zero = |bytes: &[u8]| bytes.get(start) == Some(&b'0');
    if leading_zero(left) || leading_zero(right) {
        let zeros = |bytes: &[u8]| bytes[start..].iter().take_while(|b| **b == b'0').count();
        let all_zero = |bytes: &[u8]| !digit(bytes, start + zeros(bytes));
        // A fraction with only zeros so far is smaller the longer it goes on.
        return match (digit_left, digit_right) {
            (true, false) if all_zero(right) && leading_zero(right) => Ordering::Less,
            (false, true) if all_zero(left) && leading_zero(left) => Ordering::Greater,
            _ => plain,
        };
    }
    let run = |bytes: &[u8]| bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    let (run_left, run_right) = (run(left), run(right));
    if run_left == 0 || run_right == 0 { plain } else { run_left.cmp(&run_right).then(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_strverscmp() {
        // The example of strverscmp(3), in ascending order, and the versions in daily use.
        for row in [
            &["000", "00", "01", "010", "09", "0", "1", "9", "10"][..],
            &["1", "2", "9", "10", "11", "100"][..],
            &["ostree-1", "ostree-2", "ostree-10"][..],
            &["a", "a1", "b"][..],
        ] {
            for (i, left) in row.iter().enumerate() {
                for (j, right) in row.iter().enumerate() {
                    assert_eq!(version_cmp(left, right), i.cmp(&j), "{left} against {right}");
                }
            }
        }
    }

    #[test]
    fn the_highest_version_is_offered_first() {
        let mut entries: Vec<BootEntry> = ["2", "10", "1"]
            .iter()
            .map(|version| {
                let mut entry = BootEntry::new();
                entry.set("version", version).unwrap();
                entry
            })
            .collect();
        entries.sort_by(BootEntry::offer_order);
        let order: Vec<_> = entries.iter().map(|entry| entry.get("version").unwrap()).collect();
        assert_eq!(order, ["10", "2", "1"]);
    }

    #[test]
    fn names_are_those_of_both_generations() {
        let new = EntryName { number: 2, stateroot: None };
        let old = EntryName { number: 2, stateroot: Some("debian".into()) };
        assert_eq!(new.file_name(), "ostree-2.conf");
        assert_eq!(old.file_name(), "ostree-2-debian.conf");
        assert!(EntryName::is_ours("ostree-1.conf") && !EntryName::is_ours("fedora.conf"));
        assert!(EntryName::is_our_image("ostree-1+3.efi"));
        assert!(!EntryName::is_our_image("ostree-1.conf") && !EntryName::is_our_image("a.efi"));
    }
}
