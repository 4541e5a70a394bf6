//! Which slot runs.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use updraft_bootenv::KernelArgs;

use super::{SlotPartitions, SlotsConfig, device};
use crate::boot_control::Slot;

/// Kernel arguments that name a slot: ours, RAUC's and Android's.
const ARGUMENTS: [&str; 3] = ["updraft.slot", "rauc.slot", "androidboot.slot_suffix"];

/// Where the kernel tells of block devices, by number.
const SYSFS: &str = "/sys/dev/block";
/// More devices than any stack of them has.
const MOST_UNDER: usize = 64;

impl SlotsConfig {
    /// The slot that runs: what the configuration says, else what the kernel's command line says,
    /// else the one that has the root file system's device, or what that is mapped to (dm-verity).
    /// `None`: nobody knows.
    #[must_use]
    pub fn running_slot(&self, command_line: &str, root_device: Option<u64>) -> Option<Slot> {
        if let Some(running) = self.running {
            return Some(running.into());
        }
        let arguments = KernelArgs::parse(command_line);
        let named = ARGUMENTS.iter().find_map(|name| arguments.last_value(name));
        if let Some(slot) = named.and_then(slot_named) {
            return Some(slot);
        }
        let root = arguments.last_value("root").map(|root| device(root.as_ref()));
        let under = root_device.map_or(Vec::new(), |root| devices_under(Path::new(SYSFS), root));
        let has_root = |slot: &Slot| {
            self.partitions.values().filter_map(SlotPartitions::both).any(|both| {
                let path = device(slot.of(both).as_path());
                let number = || std::fs::metadata(&path).ok().map(|about| about.rdev());
                root.as_ref() == Some(&path)
                    || (!under.is_empty() && number().is_some_and(|it| under.contains(&it)))
            })
        };
        Slot::ALL.into_iter().find(has_root)
    }
}

/// The device, and those that it is made of: a root that dm-verity guards is a device of its own.
fn devices_under(sysfs: &Path, device: u64) -> Vec<u64> {
    let mut found = vec![device];
    let mut at = 0;
    while let Some(device) = found.get(at).copied()
        && found.len() < MOST_UNDER
    {
        at += 1;
        let name = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        // What has no such folder is made of nothing else.
        let Ok(slaves) = std::fs::read_dir(sysfs.join(name).join("slaves")) else { continue };
        for slave in slaves.flatten() {
            let Ok(text) = std::fs::read_to_string(slave.path().join("dev")) else { continue };
            let numbers = text.trim().split_once(':');
            let numbers = numbers.map(|(major, minor)| (major.parse(), minor.parse()));
            if let Some((Ok(major), Ok(minor))) = numbers {
                let number = rustix::fs::makedev(major, minor);
                if !found.contains(&number) {
                    found.push(number);
                }
            }
        }
    }
    found
}

fn slot_named(name: &str) -> Option<Slot> {
    match name.trim_start_matches('_').to_ascii_lowercase().as_str() {
        "a" => Some(Slot::A),
        "b" => Some(Slot::B),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use std::path::Path;

    use super::super::{ConfigError, SlotsConfig};
    use crate::boot_control::Slot;

    const TEXT: &str = r#"
state = "/data/slots"
[boot-control.misc]
path = "/dev/misc"
[partitions]
system = ["PARTLABEL=system_a", "PARTLABEL=system_b"]
boot = ["/dev/vda2", "/dev/vda3"]
"#;

    fn parse(text: &str) -> Result<SlotsConfig, ConfigError> {
        SlotsConfig::parse(Path::new("slots.toml"), text)
    }

    #[test]
    fn the_running_slot_is_found() {
        let config = parse(TEXT).unwrap();
        for (command_line, expected) in [
            ("quiet updraft.slot=b", Some(Slot::B)),
            ("androidboot.slot_suffix=_a root=/dev/vda3", Some(Slot::A)),
            ("rauc.slot=B", Some(Slot::B)),
            ("root=PARTLABEL=system_b", Some(Slot::B)),
            ("root=/dev/vda2 ro", Some(Slot::A)),
            ("root=/dev/sda1", None),
        ] {
            assert_eq!(config.running_slot(command_line, Some(0xfe01)), expected, "{command_line}");
        }
        let fixed = parse(&format!("running = \"b\"{TEXT}")).unwrap();
        assert_eq!(fixed.running_slot("updraft.slot=a", None), Some(Slot::B));
        let system = config.partition("system", Slot::B).unwrap();
        assert_eq!(system, Path::new("/dev/disk/by-partlabel/system_b"));
    }

    #[test]
    fn a_mapped_root_is_on_what_it_is_mapped_to() {
        let folder = tempfile::tempdir().unwrap();
        for (device, under) in [("253:1", "253:0"), ("253:0", "8:2"), ("253:0", "8:3")] {
            let slave = folder.path().join(device).join("slaves").join(under.replace(':', "-"));
            std::fs::create_dir_all(&slave).unwrap();
            std::fs::write(slave.join("dev"), format!("{under}\n")).unwrap();
        }
        let number = |major, minor| rustix::fs::makedev(major, minor);
        let mut found = super::devices_under(folder.path(), number(253, 1));
        found.sort_unstable();
        let mut wanted = vec![number(253, 1), number(253, 0), number(8, 2), number(8, 3)];
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        assert_eq!(super::devices_under(folder.path(), number(8, 2)), [number(8, 2)]);
    }

    #[test]
    fn what_cannot_be_right_is_named_with_key_and_value() {
        for (from, to, words) in [
            ("/data/slots", "data", "use slots.toml: state = \"data\": give a path"),
            ("/dev/vda3", "/dev/vda2", "partitions.boot = \"/dev/vda2\": it is named twice"),
            ("/dev/vda2", "vda2", "partitions.boot = \"vda2\": give a path"),
            ("PARTLABEL=system_b", "PARTLABEL=", "partitions.system = \"PARTLABEL=\""),
            ("state =", "tries = 0\nstate =", "tries = \"0\": a new slot has to be tried"),
            ("state =", "stat =", "unknown field `stat`"),
            ("path = \"/dev/misc\"", "", "missing field `path`"),
            ("[boot-control.misc]", "[boot-control.mis]", "unknown variant `mis`"),
            (
                "[boot-control.misc]\npath = \"/dev/misc\"",
                "[boot-control.entries]\nfolder = \"/e\"\nnames = [\"a\", \"a\"]",
                "boot-control.entries.names = \"a\": the two slots need two names",
            ),
        ] {
            let said = parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
