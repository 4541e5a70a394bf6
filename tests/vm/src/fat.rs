//! A FAT file system on a disk, looked at from outside of the machine. The kernel of this machine may
//! have no FAT, so it is read by mtools, as firmware reads it: no journal, the first table. `fsck.fat`
//! tells what Linux would take for damage.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::Answer;

use crate::{DiskFile, Part};

/// What a boot loader reads of it.
const FOLDERS: [&str; 2] = ["loader", "ostree"];

impl DiskFile {
    /// The partition from which a boot loader reads entries.
    ///
    /// # Errors
    /// When there is none.
    pub fn boot_part(&self) -> Result<&Part> {
        self.part("boot").or_else(|_| self.part("esp"))
    }

    /// Whether a partition is FAT.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn is_fat(&self, part: &Part) -> Result<bool> {
        let mut sector = [0; 512];
        fs::File::open(&self.path)?.read_exact_at(&mut sector, part.offset)?;
        let has = |at: usize| sector.get(at..at + 3) == Some(b"FAT");
        Ok(sector.ends_with(&[0x55, 0xaa]) && (has(54) || has(82)))
    }

    /// What a boot loader sees of entries and kernels, written to a new folder.
    ///
    /// # Errors
    /// When the file system cannot be read at all.
    pub fn read_as_boot_loader(&self, folder: &Path) -> Result<()> {
        let part = self.boot_part()?;
        if !self.is_fat(part)? {
            return self.dump(&part.name, folder);
        }
        fs::create_dir_all(folder)?;
        let image = format!("{}@@{}", self.path.display(), part.offset);
        let mtools = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.env("MTOOLS_SKIP_CHECK", "1").args(arguments).args(["-i", &image]);
            command
        };
        for name in FOLDERS {
            let list = Answer::of(mtools("mdir", &["-b", "-/"]).arg(format!("::/{name}")))?;
            for file in list.out.lines().filter(|path| !path.ends_with('/')) {
                let path = folder.join(file.trim_start_matches([':', '/']));
                fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
                // Each by itself, for mtools ends at a file that cannot be read in full. Such a one
                // comes out short, and is told from a whole one by its content.
                Answer::of(mtools("mcopy", &["-n"]).arg(file).arg(&path))?;
            }
        }
        ensure!(folder.join("loader/entries").is_dir(), "there is no loader/entries");
        Ok(())
    }

    /// A copy of a FAT partition, in a file of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn copy_part(&self, part: &Part, path: &Path) -> Result<()> {
        let _ = fs::remove_file(path);
        let mut cut = Command::new("dd");
        cut.args(["conv=sparse", "status=none", "iflag=skip_bytes,count_bytes"]);
        cut.arg(format!("skip={}", part.offset)).arg(format!("count={}", part.size));
        cut.args(["bs=1M"]);
        cut.arg(format!("if={}", self.path.display())).arg(format!("of={}", path.display()));
        Answer::good(&mut cut)?;
        let size = fs::File::options().write(true).open(path)?;
        size.set_len(part.size).context("size the copy of a file system")
    }
}

/// Something that `fsck.fat` would have to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The file or folder, a short name in capitals; empty where `fsck.fat` names none.
    pub path: String,
    /// What is not right with it.
    pub kind: &'static str,
}

impl Damage {
    /// Two names lead to the same clusters.
    pub const SHARED: &'static str = "two files share clusters";
}

/// What `fsck.fat` says, and what it means.
const KINDS: [(&str, &str); 10] = [
    ("share clusters", Damage::SHARED),
    ("cluster chain length", "a size that is not that of the clusters"),
    ("Start cluster beyond limit", "a file that begins nowhere"),
    ("Contains a free cluster", "a file whose clusters are free"),
    ("Duplicate directory entry", "a name that is there twice"),
    ("Bad short file name", "a name that is none"),
    ("Orphaned long file name part", "a long name without its file"),
    ("Wrong checksum for long file name", "a long name of another file"),
    ("Unfinished long file name", "half a long name"),
    ("Expected a valid '", "a folder without its content"),
];

/// What `fsck.fat` would have to mend in a file system, without the mark of one that is in use, without
/// clusters that are merely lost, and without a second table that is behind the first, which nobody
/// reads.
///
/// # Errors
/// When it cannot be looked at.
pub fn fat_damage(file_system: &Path) -> Result<BTreeSet<Damage>> {
    let answer = Answer::of(Command::new("fsck.fat").arg("-n").arg(file_system))?;
    let mut path = "";
    let mut damage = BTreeSet::new();
    for line in answer.out.lines().chain(answer.err.lines()) {
        // The file stands in a line of its own, and what is wrong with it below.
        if line.starts_with('/') {
            path = line.trim_end();
        } else if !line.starts_with(' ') {
            path = "";
        }
        let found = KINDS.iter().filter(|(words, _)| line.contains(words));
        damage.extend(found.map(|(_, kind)| Damage { path: path.to_owned(), kind }));
    }
    Ok(damage)
}
