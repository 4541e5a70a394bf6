//! [`SlotPartitions`]: where a partition is in both slots, named or found by its type.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, SlotsConfig};
use crate::boot_control::GptAttributes;

/// Where a partition of a payload is in slot `a` and in slot `b`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SlotPartitions {
    /// At these places: paths, `PARTLABEL=NAME` or `PARTUUID=ID`.
    At([PathBuf; 2]),
    /// The two partitions of a disk that have this type, in the order of its table (GPT).
    OfType {
        /// The disk.
        disk: PathBuf,
        /// The GUID of the type.
        #[serde(rename = "type")]
        guid: String,
    },
}

impl SlotPartitions {
    /// The places; none as long as they are not looked for.
    pub(crate) fn both(&self) -> Option<&[PathBuf; 2]> {
        match self {
            Self::At(both) => Some(both),
            Self::OfType { .. } => None,
        }
    }
}

impl SlotsConfig {
    /// Puts partitions in the place of types.
    pub(super) fn find_by_type(&mut self, path: &Path) -> Result<(), ConfigError> {
        for (name, places) in &mut self.partitions {
            let SlotPartitions::OfType { disk, guid } = places else { continue };
            let found = find(disk, guid).map_err(|problem| ConfigError::Value {
                path: path.to_owned(),
                key: format!("partitions.{name}"),
                value: format!("{guid:?} on {}", disk.display()),
                problem,
            })?;
            *places = SlotPartitions::At(found);
        }
        Ok(())
    }
}

fn find(disk: &Path, guid: &str) -> Result<[PathBuf; 2], String> {
    if !disk.is_absolute() {
        return Err("give a disk as a path that begins with `/`".to_owned());
    }
    let is_guid = guid.len() == 36 && guid.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit());
    if !is_guid {
        return Err("give a type as 4f68bce3-e8cd-4db1-96e7-fbcaf984b709".to_owned());
    }
    let disk = std::fs::canonicalize(disk).map_err(|error| error.to_string())?;
    let all = GptAttributes::partitions_of(&disk).map_err(|error| error.to_string())?;
    let wanted = guid.to_ascii_lowercase();
    let those = all.into_iter().filter(|(_, one)| one.type_guid.to_string() == wanted);
    let found: Vec<PathBuf> = those.map(|(number, _)| node(&disk, number)).collect();
    let count = found.len();
    found
        .try_into()
        .map_err(|_| format!("{count} partitions have this type, and two slots need two"))
}

/// The device of a partition, as the kernel names it: `sda1`, but `mmcblk0p1`.
fn node(disk: &Path, number: usize) -> PathBuf {
    let mut name = disk.as_os_str().to_owned();
    let ends_with_digit = name.as_encoded_bytes().last().is_some_and(u8::is_ascii_digit);
    name.push(if ends_with_digit { "p" } else { "" });
    name.push(number.to_string());
    name.into()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::{find, node};

    #[test]
    fn partitions_are_named_as_the_kernel_does() {
        for (disk, name) in [("/dev/sda", "/dev/sda2"), ("/dev/mmcblk0", "/dev/mmcblk0p2")] {
            assert_eq!(node(Path::new(disk), 2), PathBuf::from(name));
        }
    }

    #[test]
    fn the_two_of_a_type_are_found_on_a_disk_of_sgdisk() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::File::create(&disk).unwrap().set_len(32 << 20).unwrap();
        let done = Command::new("sgdisk")
            .args(["-n1:0:+1M", "-t1:ef00", "-n2:0:+1M", "-t2:8304"])
            .args(["-n5:0:+1M", "-t5:8304", "-n4:0:+1M", "-t4:8300"])
            .arg(&disk)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let root = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
        let disk = disk.canonicalize().unwrap();
        let at = |number: u32| PathBuf::from(format!("{}{number}", disk.display()));
        assert_eq!(find(&disk, root).unwrap(), [at(2), at(5)]);
        for (disk, guid, words) in [
            (disk.as_path(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "1 partitions have this type"),
            (&disk, "root", "give a type as"),
            (Path::new("disk"), root, "begins with `/`"),
            (Path::new("/no/such/disk"), root, "No such file"),
        ] {
            let said = find(disk, guid).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
