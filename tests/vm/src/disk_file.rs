//! The file of a disk, looked at from outside of the machine.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Answer;
use machine::Disk;
use updraft_bootenv::{Ext4Superblock, TornCommit};

const UNMOUNT_TRIES: u32 = 20;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its label.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How large it is, in bytes.
    pub size: u64,
}

impl Part {
    /// The first ones of a disk, with these labels and sizes in MiB.
    pub(crate) fn all(disk: &Disk, sizes: &[(&str, u64)]) -> Result<Vec<Self>> {
        let part = |(number, (name, mib)): (usize, &(&str, u64))| {
            let offset = disk.start(number + 1).context("a partition begins somewhere")?;
            Ok(Self { name: (*name).to_owned(), offset, size: mib << 20 })
        };
        sizes.iter().enumerate().map(part).collect()
    }
}

/// A disk in a file.
#[derive(Debug, Clone)]
pub struct DiskFile {
    /// The file.
    pub path: PathBuf,
    /// Its partitions.
    pub parts: Vec<Part>,
}

impl DiskFile {
    /// A partition by its label.
    ///
    /// # Errors
    /// When there is none.
    pub fn part(&self, name: &str) -> Result<&Part> {
        let found = self.parts.iter().find(|part| part.name == name);
        found.with_context(|| format!("{} has no partition `{name}`", self.path.display()))
    }

    /// A copy of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn copy(&self, path: &Path) -> Result<Self> {
        // Into a file of its own: of an old one, a loop device that is not quite gone yet may have
        // something in its memory.
        let _ = fs::remove_file(path);
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always", "--reflink=auto"]).arg(&self.path).arg(path);
        Answer::good(&mut copy)?;
        Ok(Self { path: path.to_path_buf(), parts: self.parts.clone() })
    }

    /// What is in an ext4 partition as a boot loader sees it, which replays no journal and compares
    /// no checksums, written to a new folder.
    ///
    /// # Errors
    /// When the file system cannot be read at all.
    pub fn dump(&self, part: &str, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let device = format!("{}?offset={}", self.path.display(), self.part(part)?.offset);
        let request = format!("rdump / {}", folder.display());
        let answer = Answer::of(Command::new("debugfs").args(["-n", "-R", &request, &device]))?;
        ensure!(answer.code == 0, "read {part}: {}", answer.err);
        Ok(())
    }

    /// Does what `updraft-init` does before it mounts a file system that a power cut tore.
    ///
    /// # Errors
    /// When the disk cannot be read or written.
    pub fn mend(&self, part: &str) -> Result<()> {
        let start = self.part(part)?.offset;
        let file = fs::File::options().read(true).write(true).open(&self.path)?;
        let torn = superblock(&file, start, Ext4Superblock::PLACE)?;
        if let Some(torn) = torn.filter(Ext4Superblock::is_damaged) {
            let read = |place| superblock(&file, start, place);
            let backup = torn.backup_place().map(read).transpose()?.flatten();
            let mended = backup.and_then(|backup| torn.mended(&backup));
            let mended =
                mended.with_context(|| format!("the superblock of {part} is torn for good"))?;
            file.write_all_at(mended.bytes(), start + Ext4Superblock::PLACE)?;
        }
        if let Some(torn) = torn_commit(&file, start)? {
            file.write_all_at(torn.bytes(), start + torn.place())?;
        }
        Ok(())
    }

    /// Whether the end of the last transaction in the journal of a partition is torn, which a kernel before
    /// Linux 6.10 does not mount.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn has_torn_commit(&self, part: &str) -> Result<bool> {
        let start = self.part(part)?.offset;
        Ok(torn_commit(&fs::File::open(&self.path)?, start)?.is_some())
    }

    /// Mounts a partition below `folder`; the kernel replays its journal.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(&self, part: &str, folder: &Path) -> Result<Mounted> {
        let part = self.part(part)?;
        fs::create_dir_all(folder)?;
        // What is looked at here need not be on this machine's own disk.
        let options = format!("loop,barrier=0,offset={},sizelimit={}", part.offset, part.size);
        let mut mount = Command::new("mount");
        Answer::good(mount.args(["-t", "ext4", "-o", &options]).arg(&self.path).arg(folder))?;
        Ok(Mounted(folder.to_path_buf()))
    }
}

/// The superblock at a place of the partition that begins at `start`.
fn superblock(file: &fs::File, start: u64, place: u64) -> Result<Option<Ext4Superblock>> {
    let mut bytes = [0; Ext4Superblock::SIZE];
    file.read_exact_at(&mut bytes, start + place)?;
    Ok(Ext4Superblock::parse(&bytes))
}

fn torn_commit(file: &fs::File, start: u64) -> Result<Option<TornCommit>> {
    let Some(superblock) = superblock(file, start, Ext4Superblock::PLACE)? else { return Ok(None) };
    let read = |place, bytes: &mut [u8]| file.read_exact_at(bytes, start + place);
    Ok(TornCommit::find(&superblock, read)?)
}

/// A mounted partition; it is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmount = |options: &[&str]| {
            let status = Command::new("umount").args(options).arg(&self.0).status();
            status.is_ok_and(|status| status.success())
        };
        // Another program may be looking at all mounts just now.
        for _ in 0..UNMOUNT_TRIES {
            if unmount(&["-q"]) {
                return;
            }
            std::thread::sleep(UNMOUNT_PAUSE);
        }
        unmount(&["-l"]);
    }
}
