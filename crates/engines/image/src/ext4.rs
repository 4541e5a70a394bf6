//! ext4 file systems from folders, by `mkfs.ext4 -d` and `debugfs`.

use std::fmt::Write as _;
use std::path::Path;

use updraft_bootenv::Guid;
use updraft_error::Kind;
use updraft_process::Command;
use updraft_task::Context;

use crate::build::run;
use crate::seal::Sealed;
use crate::{Error, Result};

/// A file system to be made.
pub(crate) struct Ext4<'a> {
    /// Its label.
    pub(crate) label: &'a str,
    /// Its name among all file systems; `root=UUID=` finds it.
    pub(crate) uuid: Guid,
    /// What orders names in large directories.
    pub(crate) hash_seed: Guid,
    /// Seconds since 1970 for all its times.
    pub(crate) time: u64,
    /// How large it is.
    pub(crate) size: u64,
    /// The files that have their seals behind their bytes.
    pub(crate) sealed: Vec<Sealed>,
}

impl Ext4<'_> {
    /// Makes it in `file`, with what is in `folder`.
    pub(crate) fn make(&self, ctx: &Context, folder: &Path, file: &Path) -> Result<()> {
        let created = std::fs::File::create(file).map_err(Error::file("create", file))?;
        created.set_len(self.size).map_err(Error::file("enlarge", file))?;
        // `verity` so that a device may seal what it runs; 4096 so that EFI drivers read it.
        // Inode tables are written now: a device shall not do it at its first boot.
        let features = if self.size > GROUP { "verity" } else { "verity,^metadata_csum" };
        let extended = format!(
            "hash_seed={},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0",
            self.hash_seed
        );
        let make = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-b", "4096", "-I", "256", "-O", features, "-m", "1", "-L"])
            .arg(self.label)
            .arg("-U")
            .arg(self.uuid.to_string())
            .arg("-E")
            .arg(extended)
            .arg("-d")
            .arg(folder)
            .arg(file)
            .env("E2FSPROGS_FAKE_TIME", self.time.to_string());
        run(ctx, &make, "make an ext4 file system", "e2fsprogs")?;
        self.set_fields(ctx, file)
    }

    /// `mkfs.ext4` takes the times of inodes from the folder, and nobody can choose when an inode
    /// of it changed last. Of seals it knows nothing.
    fn set_fields(&self, ctx: &Context, file: &Path) -> Result<()> {
        let last = last_inode(ctx, file)?;
        let mut script = String::new();
        let root = 2;
        for inode in std::iter::once(root).chain(FIRST_INODE..=last) {
            for field in ["atime", "ctime", "mtime", "crtime"] {
                let _ = writeln!(script, "sif <{inode}> {field} @{}", self.time);
                let _ = writeln!(script, "sif <{inode}> {field}_extra 0");
            }
        }
        for Sealed { path, size } in &self.sealed {
            let _ = writeln!(script, "sif \"/{}\" size {size}", path.display());
            let _ = writeln!(script, "sif \"/{}\" flags {SEALED:#x}", path.display());
        }
        let debugfs = Command::new("debugfs")
            .args(["-w", "-f", "-"])
            .arg(file)
            .env("E2FSPROGS_FAKE_TIME", self.time.to_string())
            .input(script.into_bytes());
        let what = "set times and flags of an ext4 file system";
        let finished = run(ctx, &debugfs, what, "e2fsprogs")?;
        // Its exit code tells nothing of the commands. When it starts it says its version.
        let said = finished.stderr.text();
        match said.lines().find(|line| !line.starts_with("debugfs ")) {
            None => Ok(()),
            Some(line) => Err(Error::other(Kind::Unsupported, format!("{what}: {line}"))),
        }
    }
}

/// A file system that is not larger has no backup of its superblock, from which one that a power
/// cut tore in its middle could be mended: it does better without checksums.
const GROUP: u64 = 128 << 20;

/// `EXT4_EXTENTS_FL`, which all files have here, and `EXT4_VERITY_FL`.
const SEALED: u32 = 0x8_0000 | 0x10_0000;

/// Inodes before belong to the file system itself.
const FIRST_INODE: u64 = 11;

/// `mkfs.ext4` gives inodes out one after the other.
fn last_inode(ctx: &Context, file: &Path) -> Result<u64> {
    let show = Command::new("dumpe2fs").arg("-h").arg(file);
    let shown = run(ctx, &show, "look at an ext4 file system", "e2fsprogs")?.stdout.text();
    let value = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<u64>().ok())
    };
    let used = value("Inode count:").zip(value("Free inodes:"));
    used.and_then(|(all, free)| all.checked_sub(free)).ok_or_else(|| {
        let message = format!("dumpe2fs says nothing of the inodes in {}", file.display());
        Error::other(Kind::Unsupported, message)
    })
}
