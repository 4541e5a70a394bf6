//! A disk: a file with a GUID partition table and partitions, or with one bare file system.
//!
//! Everything is written at its offset in the file. Nothing is mounted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::partition::Partition;
use crate::programs;

/// Where the first partition begins, and what the others are aligned to.
const ALIGNMENT: u64 = 1024 * 1024;

/// A disk that has been written.
#[derive(Debug, Clone)]
pub struct Disk {
    path: PathBuf,
    starts: Vec<u64>,
}

/// A disk that is being described.
#[derive(Debug, Clone, Default)]
pub struct DiskBuilder {
    partitions: Vec<Partition>,
}

impl Disk {
    /// A disk with a GUID partition table.
    #[must_use]
    pub fn gpt() -> DiskBuilder {
        DiskBuilder::default()
    }

    /// A disk that is one file system, without a partition table.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn bare(partition: &Partition, path: &Path) -> Result<Self> {
        create(path, partition.bytes())?;
        partition.fill(path, 0)?;
        Ok(Self { path: path.to_path_buf(), starts: vec![0] })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a partition begins, in bytes; the first is 1. With this, `debugfs` and mtools read it
    /// (`FILE?offset=N`, `FILE@@N`).
    #[must_use]
    pub fn start(&self, partition: usize) -> Option<u64> {
        self.starts.get(partition.checked_sub(1)?).copied()
    }

    /// What `debugfs` answers to a request about an ext4 partition, such as `cat /etc/hostname`.
    /// It reads as a boot loader does: the journal is not replayed.
    ///
    /// # Errors
    /// When there is no such partition, or `debugfs` fails.
    pub fn debugfs(&self, partition: usize, request: &str) -> Result<String> {
        let start = self.start(partition).context("there is no such partition")?;
        let device = format!("{}?offset={start}", self.path.display());
        let said = programs::run(Command::new("debugfs").args(["-R", request, &device]))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

impl DiskBuilder {
    /// Adds a partition after those that are there.
    #[must_use]
    pub fn partition(mut self, partition: Partition) -> Self {
        self.partitions.push(partition);
        self
    }

    /// Writes the disk, as a sparse file.
    ///
    /// # Errors
    /// When `sfdisk`, mtools or `mkfs.ext4` fail.
    pub fn build(&self, path: &Path) -> Result<Disk> {
        let mut script = "label: gpt\n".to_owned();
        let mut starts = Vec::new();
        let mut next = ALIGNMENT;
        for partition in &self.partitions {
            starts.push(next);
            script.push_str(&partition.script_line(next));
            script.push('\n');
            next += partition.bytes();
        }
        // The second table stands after the last partition.
        create(path, next + ALIGNMENT)?;
        let mut table = Command::new("sfdisk");
        programs::run_with(table.args(["-q", "--no-reread"]).arg(path), script.as_bytes())?;
        for (partition, start) in self.partitions.iter().zip(&starts) {
            partition.fill(path, *start)?;
        }
        Ok(Disk { path: path.to_path_buf(), starts })
    }
}

fn create(path: &Path, size: u64) -> Result<()> {
    let _ = fs::remove_file(path);
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.set_len(size)?;
    Ok(())
}
