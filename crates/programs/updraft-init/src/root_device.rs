//! Finding the device that `root=` names, and waiting for it.

use std::fmt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::block_devices::BlockDevice;
use crate::console::{complain, say};
use crate::failure::{Failure, Result};
use crate::kernel_arguments::KernelArguments;

/// How often the devices are looked at.
const PERIOD: Duration = Duration::from_millis(50);
/// How long is waited without `rootwait`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often somebody who waits is told so.
const REMINDER: Duration = Duration::from_secs(10);

/// What names a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// A node, such as `/dev/vda2`.
    Node(PathBuf),
    /// The UUID of its file system.
    Uuid(String),
    /// The label of its file system.
    Label(String),
    /// The identity of the partition.
    PartUuid(String),
    /// The name of the partition.
    PartLabel(String),
    /// `MAJOR:MINOR`.
    Numbers(String),
}

impl DeviceName {
    /// Reads the value of `root=` or `boot=`. Links that udev would make are understood.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        for kind in ["UUID", "LABEL", "PARTUUID", "PARTLABEL"] {
            let link = format!("/dev/disk/by-{}/", kind.to_lowercase());
            let tag = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('='));
            let Some(value) = tag.or_else(|| text.strip_prefix(&link)) else { continue };
            let value = value.trim_matches('"').to_owned();
            return Some(match kind {
                "UUID" => Self::Uuid(value),
                "LABEL" => Self::Label(value),
                "PARTUUID" => Self::PartUuid(value),
                _ => Self::PartLabel(value),
            });
        }
        if text.starts_with("/dev/") {
            return Some(Self::Node(PathBuf::from(text)));
        }
        let (major, minor) = text.split_once(':')?;
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        (is_number(major) && is_number(minor)).then(|| Self::Numbers(text.to_owned()))
    }

    /// The device, when it is there now.
    fn find(&self) -> Option<PathBuf> {
        if let Self::Node(path) = self {
            return path.exists().then(|| path.clone());
        }
        BlockDevice::all().into_iter().find(|device| self.is(device)).map(|device| device.path())
    }

    fn is(&self, device: &BlockDevice) -> bool {
        let same = |have: Option<String>, want: &String| {
            have.is_some_and(|have| have.eq_ignore_ascii_case(want))
        };
        match self {
            Self::Node(path) => device.path() == *path,
            Self::Uuid(uuid) => same(device.file_system().map(|found| found.uuid), uuid),
            Self::Label(label) => device.file_system().is_some_and(|found| found.label == *label),
            Self::PartUuid(uuid) => same(device.part_uuid(), uuid),
            Self::PartLabel(label) => device.part_label().as_ref() == Some(label),
            Self::Numbers(numbers) => device.numbers().as_ref() == Some(numbers),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(path) => write!(f, "{}", path.display()),
            Self::Uuid(text) => write!(f, "UUID={text}"),
            Self::Label(text) => write!(f, "LABEL={text}"),
            Self::PartUuid(text) => write!(f, "PARTUUID={text}"),
            Self::PartLabel(text) => write!(f, "PARTLABEL={text}"),
            Self::Numbers(text) => f.write_str(text),
        }
    }
}

/// Waits for a device: half a minute, for ever with `rootwait`, so many seconds with `rootwait=N`.
pub(crate) fn wait_for(name: &DeviceName, arguments: &KernelArguments) -> Result<PathBuf> {
    let patience = patience(arguments);
    let begin = Instant::now();
    let mut told = begin;
    loop {
        if let Some(path) = name.find() {
            return Ok(path);
        }
        if patience.is_some_and(|patience| begin.elapsed() >= patience) {
            return Err(missing(name, begin.elapsed()));
        }
        if told.elapsed() >= REMINDER {
            told = Instant::now();
            complain(&format!("still waiting for the device {name}; {}", inventory()));
        }
        if told == begin {
            say(&format!("waiting for the device {name}"));
            told = Instant::now();
        }
        sleep(PERIOD);
    }
}

fn patience(arguments: &KernelArguments) -> Option<Duration> {
    if !arguments.contains("rootwait") {
        return Some(PATIENCE);
    }
    let seconds = arguments.number("rootwait").and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs)
}

fn missing(name: &DeviceName, waited: Duration) -> Failure {
    let seconds = waited.as_secs();
    let what = format!("no device {name} within {seconds} seconds; {}", inventory());
    Failure::new(what).way_out(
        "correct root= (see the list), add `rootwait` for a slow device, or put the modules of its \
         driver into the initramfs",
    )
}

/// What devices there are, for a person who has to correct `root=`.
fn inventory() -> String {
    let devices = BlockDevice::all();
    if devices.is_empty() {
        return "there are no block devices at all".to_owned();
    }
    let mut text = "there are:".to_owned();
    for device in devices {
        text = format!("{text}\n    {}", device.path().display());
        if let Some(found) = device.file_system() {
            text = format!("{text} {} UUID={}", found.kind, found.uuid);
            if !found.label.is_empty() {
                text = format!("{text} LABEL={}", found.label);
            }
        }
        if let Some(uuid) = device.part_uuid() {
            text = format!("{text} PARTUUID={uuid}");
        }
        if let Some(label) = device.part_label() {
            text = format!("{text} PARTLABEL={label}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(DeviceName::parse(text).map(|name| name.to_string()).as_deref(), expected);
    }

    #[test]
    fn names_of_devices_are_read() {
        check("UUID=0f4e-AB", Some("UUID=0f4e-AB"));
        check("LABEL=\"my root\"", Some("LABEL=my root"));
        check("/dev/disk/by-partlabel/root", Some("PARTLABEL=root"));
        check("PARTUUID=01234567-02", Some("PARTUUID=01234567-02"));
        check("/dev/vda2", Some("/dev/vda2"));
        check("254:2", Some("254:2"));
        check("ubi0:root", None);
        check("", None);
    }

    #[test]
    fn patience_ends_unless_rootwait_is_said() {
        let of = |line| patience(&KernelArguments::parse(line));
        assert_eq!(of(""), Some(PATIENCE));
        assert_eq!(of("rootwait"), None);
        assert_eq!(of("rootwait=5"), Some(Duration::from_secs(5)));
    }
}
