//! What the boot before has left behind, by which a panic, a hang, an initramfs and a user space
//! that failed are told apart.
//!
//! Every piece is optional, and says no more than it proves: without any, it is only known that the
//! system did not come up.

use std::path::{Path, PathBuf};

use updraft_fs::Dir;

use super::crash_records;

/// `WDIOF_CARDRESET` of the kernel's `linux/watchdog.h`: the watchdog started this boot.
const CARD_RESET: u32 = 0x20;
/// `bootstatus` is one number.
const MAX_STATUS: u64 = 64;
/// A machine has one or two.
const MAX_WATCHDOGS: usize = 16;

/// Where evidence lies.
#[derive(Debug)]
pub(crate) struct Places {
    crash_records: Vec<PathBuf>,
    watchdogs: PathBuf,
}

impl Places {
    /// Those of a machine whose root is here.
    pub(crate) fn below(root: &Path) -> Self {
        let crash_records = ["sys/fs/pstore", "var/lib/systemd/pstore"];
        Self {
            crash_records: crash_records.map(|folder| root.join(folder)).into(),
            watchdogs: root.join("sys/class/watchdog"),
        }
    }
}

/// How far the last try came, as the initramfs counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The initramfs did not put the system's root together.
    Initramfs,
    /// The root was ready for the system's own init.
    System,
}

impl Reached {
    /// From the note of the initramfs. Words that are not known say nothing.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "initramfs" => Some(Self::Initramfs),
            "system" => Some(Self::System),
            _ => None,
        }
    }
}

/// What is known about a deployment that did not come up.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The kernel's own words.
    pub(super) panic: Option<String>,
    /// Whether the watchdog reset the machine, and so began this boot.
    pub(super) was_reset: bool,
    /// Whether the deployment's agent ran.
    pub(super) agent_ran: bool,
    /// What the initramfs counted.
    pub(super) reached: Option<Reached>,
}

impl Evidence {
    /// Looks at what there is about a deployment that was made at this time, in seconds since 1970.
    pub(super) fn find(places: &Places, made: Option<i64>) -> Self {
        Self {
            // Without a time any old panic could be taken for this one.
            panic: made.and_then(|made| crash_records::last_panic(&places.crash_records, made)),
            was_reset: was_reset(&places.watchdogs),
            ..Self::default()
        }
    }

    /// The same in words; `None` when there is nothing to say.
    pub(super) fn in_words(&self) -> Option<String> {
        let mut words = Vec::new();
        if let Some(line) = &self.panic {
            words.push(format!("its kernel panicked: {line}"));
        }
        if self.was_reset {
            words.push("it hung until the watchdog reset the machine".to_owned());
        }
        let is_explained = !words.is_empty();
        match (self.agent_ran, self.reached) {
            (true, _) if is_explained => words.push("its agent had been running".to_owned()),
            (true, _) => {
                words.push("its agent ran, and then its kernel or user space failed".to_owned());
            }
            (false, Some(Reached::Initramfs)) => {
                words.push("its initramfs did not hand over".to_owned());
            }
            (false, Some(Reached::System)) if is_explained => {
                words.push("its initramfs had handed over".to_owned());
            }
            (false, Some(Reached::System)) => words.push(
                "its initramfs handed over, and then its kernel or user space failed".to_owned(),
            ),
            (false, None) => {}
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn was_reset(watchdogs: &Path) -> bool {
    let Ok(folder) = Dir::open(watchdogs) else { return false };
    let entries = folder.entries().unwrap_or_default();
    let watchdogs = entries.iter().filter(|one| one.name.to_string_lossy().starts_with("watchdog"));
    watchdogs.take(MAX_WATCHDOGS).any(|one| {
        // They are links to devices.
        let status = folder.open_dir_follow(&one.name).and_then(|device| {
            let bytes = device.try_read("bootstatus", MAX_STATUS)?;
            Ok(bytes.unwrap_or_default())
        });
        number(&status.unwrap_or_default()).is_some_and(|status| status & CARD_RESET != 0)
    })
}

/// The kernel writes it in decimal, some drivers in hexadecimal.
fn number(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test may")]
    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_watchdog_that_reset_the_machine_is_a_hang() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        assert!(!Evidence::find(&places, None).was_reset);
        let device = root.path().join("sys/devices/pci/watchdog/watchdog0");
        let class = root.path().join("sys/class/watchdog");
        fs::create_dir_all(&class).unwrap();
        fs::create_dir_all(&device).unwrap();
        std::os::unix::fs::symlink(&device, class.join("watchdog0")).unwrap();
        for (status, expected) in
            [("0\n", false), ("32\n", true), ("0x28\n", true), ("1\n", false), ("", false)]
        {
            write(&device.join("bootstatus"), status);
            assert_eq!(Evidence::find(&places, None).was_reset, expected, "{status}");
        }
        fs::remove_file(device.join("bootstatus")).unwrap();
        write(&class.join("watchdog1/bootstatus"), "32");
        assert!(Evidence::find(&places, None).was_reset, "any of them");
    }

    #[test]
    fn a_panic_is_found_in_both_places_and_not_without_a_time() {
        for place in ["sys/fs/pstore/dmesg-x-1", "var/lib/systemd/pstore/17/dmesg-x-1"] {
            let root = tempfile::tempdir().unwrap();
            let places = Places::below(root.path());
            write(&root.path().join(place), "<0>[ 1.0] Kernel panic - not syncing: ha\n");
            assert_eq!(Evidence::find(&places, None).panic, None);
            assert_eq!(Evidence::find(&places, Some(i64::MAX)).panic, None, "it is older");
            let words = Evidence::find(&places, Some(1)).in_words().unwrap();
            assert_eq!(words, "its kernel panicked: Kernel panic - not syncing: ha", "{place}");
        }
    }

    #[test]
    fn evidence_is_put_into_words() {
        let panic = Some("Kernel panic - not syncing: ha".to_owned());
        let all = Evidence { panic, was_reset: true, agent_ran: true, reached: None };
        assert_eq!(
            all.in_words().unwrap(),
            "its kernel panicked: Kernel panic - not syncing: ha; it hung until the watchdog reset \
             the machine; its agent had been running"
        );
        let reached = |reached| Evidence { reached: Some(reached), ..Evidence::default() };
        assert_eq!(
            reached(Reached::Initramfs).in_words().unwrap(),
            "its initramfs did not hand over"
        );
        assert_eq!(
            reached(Reached::System).in_words().unwrap(),
            "its initramfs handed over, and then its kernel or user space failed"
        );
        let ran = Evidence { agent_ran: true, ..reached(Reached::System) };
        assert_eq!(
            ran.in_words().unwrap(),
            "its agent ran, and then its kernel or user space failed"
        );
        let hung = Evidence { was_reset: true, ..reached(Reached::System) };
        assert_eq!(
            hung.in_words().unwrap(),
            "it hung until the watchdog reset the machine; its initramfs had handed over"
        );
        assert_eq!(Evidence::default().in_words(), None);
    }
}
