//! The block devices that the kernel has found, from `/sys/class/block`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::partition_tables;
use crate::superblock::{self, FileSystem};

const CLASS: &str = "/sys/class/block";

/// A disk or a partition.
#[derive(Debug, Clone)]
pub(crate) struct BlockDevice {
    name: String,
}

impl BlockDevice {
    /// All of them that have a size.
    pub(crate) fn all() -> Vec<Self> {
        let names = fs::read_dir(CLASS).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut devices: Vec<_> = names.map(|name| Self { name }).collect();
        devices.retain(|device| device.attribute("size").is_some_and(|size| size != "0"));
        devices.sort_by(|left, right| left.name.cmp(&right.name));
        devices
    }

    /// Its node.
    pub(crate) fn path(&self) -> PathBuf {
        // The kernel writes `!` where the name of the node has `/`.
        Path::new("/dev").join(self.name.replace('!', "/"))
    }

    /// The file system on it.
    pub(crate) fn file_system(&self) -> Option<FileSystem> {
        superblock::probe(&File::open(self.path()).ok()?)
    }

    /// The name of the partition in its table.
    pub(crate) fn part_label(&self) -> Option<String> {
        let events = self.attribute("uevent")?;
        events.lines().find_map(|line| line.strip_prefix("PARTNAME=")).map(str::to_owned)
    }

    /// The identity of the partition in its table.
    pub(crate) fn part_uuid(&self) -> Option<String> {
        let number = self.attribute("partition")?.parse().ok()?;
        let own = fs::canonicalize(Path::new(CLASS).join(&self.name)).ok()?;
        let disk = Self { name: own.parent()?.file_name()?.to_str()?.to_owned() };
        let block_size = disk.attribute("queue/logical_block_size")?.parse().ok()?;
        partition_tables::part_uuid(&File::open(disk.path()).ok()?, block_size, number)
    }

    /// Its numbers, `MAJOR:MINOR`.
    pub(crate) fn numbers(&self) -> Option<String> {
        self.attribute("dev")
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(Path::new(CLASS).join(&self.name).join(name)).ok()?;
        Some(text.trim_end().to_owned())
    }
}
