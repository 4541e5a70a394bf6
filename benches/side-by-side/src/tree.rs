//! A made-up root file system: many small files, some large, half of them compressible, with
//! directories, links, owners and modes. The same on every machine.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

const FILES_PER_DIRECTORY: u32 = 40;

/// Makes the tree at `path`.
pub(crate) fn make(path: &Path, files: u32) -> Result<PathBuf> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..files {
        let directory = number / FILES_PER_DIRECTORY;
        let folder = path
            .join(format!("usr/part{}", directory % 10))
            .join(format!("group{}", directory / 10 % 10))
            .join(format!("dir{directory}"));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("file{number}.bin"));
        if number % 17 == 0 {
            symlink(format!("file{}.bin", number + 1), &file)?;
            continue;
        }
        write(&file, &mut random, number)?;
        let mode = if number % 9 == 0 { 0o755 } else { 0o644 };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?;
        if number % 29 == 0 {
            chown(&file, Some(1000), Some(100))?;
        }
    }
    Ok(path.to_owned())
}

/// Makes the next version of a tree: every tenth file has some bytes inserted and others changed.
pub(crate) fn change(tree: &Path, next: &Path) -> Result<PathBuf> {
    let copied = Command::new("cp").arg("-a").arg(tree).arg(next).status()?;
    anyhow::ensure!(copied.success(), "copy {}", tree.display());
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut folders, mut number) = (vec![next.to_owned()], 0_u32);
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            }
            number += u32::from(kind.is_file());
            if !kind.is_file() || !number.is_multiple_of(10) {
                continue;
            }
            let mut bytes = std::fs::read(entry.path())?;
            let middle = bytes.len() / 2;
            let _ = bytes.splice(middle..middle, random.next().to_le_bytes()).count();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::File::create(entry.path())?.write_all(&bytes)?;
        }
    }
    Ok(next.to_owned())
}

/// Sizes as in a Debian root: most below 16 KiB, a few of megabytes.
fn write(path: &Path, random: &mut Random, number: u32) -> Result<()> {
    let size = match number % 100 {
        0 => 2_000_000 + random.next() % 4_000_000,
        1..=9 => 60_000 + random.next() % 200_000,
        10..=39 => 4_000 + random.next() % 28_000,
        40..=44 => 0,
        _ => 100 + random.next() % 4_000,
    };
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let compressible = number.is_multiple_of(2);
    let mut left = size;
    while left > 0 {
        let word = random.next();
        if compressible {
            writeln!(file, "line {:04} of a text that repeats itself {}", word % 5000, word % 7)?;
            left = left.saturating_sub(44);
        } else {
            file.write_all(&word.to_le_bytes())?;
            left = left.saturating_sub(8);
        }
    }
    file.flush()?;
    Ok(())
}

/// xorshift64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The bytes of all files in a folder.
pub(crate) fn size(folder: &Path) -> Result<f64> {
    let mut bytes = 0_u64;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    // Deltas are far smaller than what a float counts exactly.
    #[allow(clippy::cast_precision_loss)]
    Ok(bytes as f64)
}
