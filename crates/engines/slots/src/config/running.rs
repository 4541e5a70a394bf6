//! Which slot runs.

use std::os::unix::fs::MetadataExt as _;

use updraft_bootenv::KernelArgs;

use super::{SlotsConfig, device};
use crate::boot_control::Slot;

/// Kernel arguments that name a slot: ours, RAUC's and Android's.
const ARGUMENTS: [&str; 3] = ["updraft.slot", "rauc.slot", "androidboot.slot_suffix"];

/// How many devices a root may be made of.
const MOST_DEVICES: usize = 32;

impl SlotsConfig {
    /// The slot that runs: what the configuration says, else what the kernel's command line says,
    /// else the one that has the root file system's device. `None`: nobody knows.
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
        let devices = root_device.map(with_those_below).unwrap_or_default();
        let has_root = |slot: &Slot| {
            self.partitions.values().any(|both| {
                let path = device(slot.of(both).as_path());
                let own = || std::fs::metadata(&path).ok().map(|about| about.rdev());
                root.as_ref() == Some(&path) || own().is_some_and(|own| devices.contains(&own))
            })
        };
        Slot::ALL.into_iter().find(has_root)
    }
}

/// A device, and those that the kernel made it of: a root that dm-verity checks has a device of its own,
/// which lies over that of the slot.
fn with_those_below(device: u64) -> Vec<u64> {
    let mut devices = vec![device];
    let mut next = 0;
    while let Some(device) = devices.get(next).copied().filter(|_| next < MOST_DEVICES) {
        next += 1;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let folder = format!("/sys/dev/block/{major}:{minor}/slaves");
        for below in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(below.path().join("dev")).unwrap_or_default();
            let numbers = text.trim().split_once(':');
            let numbers = numbers.and_then(|(major, minor)| {
                Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
            });
            devices.extend(numbers.filter(|below| !devices.contains(below)));
        }
    }
    devices
}

fn slot_named(name: &str) -> Option<Slot> {
    match name.trim_start_matches('_').to_ascii_lowercase().as_str() {
        "a" => Some(Slot::A),
        "b" => Some(Slot::B),
        _ => None,
    }
}

#[cfg(test)]
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
