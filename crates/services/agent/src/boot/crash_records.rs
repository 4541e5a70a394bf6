//! What the kernel said when it panicked, where firmware or memory kept it for the next boot.
//!
//! pstore shows it in files `dmesg-BACKEND-ID`, which systemd-pstore moves to a folder of its own.
//! They are read and left where they are. Anybody's earlier panic may lie there, too: a record
//! counts only from the time on when the deployment was made.

use std::path::{Path, PathBuf};

use updraft_fs::{Dir, FileKind};

/// What stands before the reason, in the kernel's own words.
const MARK: &str = "Kernel panic - not syncing";
/// Records begin with this. `dmesg.txt`, which systemd puts together, has the same text twice.
const PREFIX: &str = "dmesg-";
/// Larger ones are no records: firmware keeps one or two KiB in each, memory usually 128.
const MAX_RECORD: u64 = 1 << 20;
/// A panic fills at most some dozens of the smallest ones.
const MAX_RECORDS: usize = 128;
/// Folders below that of systemd: one for each panic, in some versions one level more.
const MAX_DEPTH: usize = 3;
/// So many names are looked at in all.
const MAX_NAMES: usize = 4096;
/// Longest line that is passed on, in characters.
const MAX_LINE: usize = 200;

/// A file with a part of a kernel's last words.
struct CrashRecord {
    folder: PathBuf,
    name: String,
    /// When it was made, in seconds since 1970.
    time: i64,
}

/// The newest panic in these folders that is not older than `since`, in seconds since 1970.
pub(super) fn last_panic(folders: &[PathBuf], since: i64) -> Option<String> {
    let mut records = Vec::new();
    let mut names = MAX_NAMES;
    for folder in folders {
        collect(folder, MAX_DEPTH, &mut names, &mut records);
    }
    records.retain(|record| record.time >= since);
    // Of one panic there may be several parts; any order of them is good.
    records.sort_by(|a, b| (b.time, &a.name).cmp(&(a.time, &b.name)));
    records.iter().take(MAX_RECORDS).find_map(|record| {
        let folder = Dir::open(&record.folder).ok()?;
        panic_line(&folder.try_read(&record.name, MAX_RECORD).ok()??)
    })
}

fn collect(folder: &Path, depth: usize, names: &mut usize, records: &mut Vec<CrashRecord>) {
    // Most machines have no such folder.
    let Ok(dir) = Dir::open(folder) else { return };
    let Ok(entries) = dir.entries() else { return };
    for entry in entries {
        if *names == 0 {
            return;
        }
        *names -= 1;
        match entry.kind {
            FileKind::Directory if depth > 0 => {
                collect(&folder.join(&entry.name), depth - 1, names, records);
            }
            FileKind::Regular => {
                let Some(name) = entry.name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                    continue;
                };
                let Ok(Some(found)) = dir.try_metadata(name) else { continue };
                let time = time_in_name(name).unwrap_or(found.mtime);
                records.push(CrashRecord {
                    folder: folder.to_owned(),
                    name: name.to_owned(),
                    time,
                });
            }
            _ => {}
        }
    }
}

/// The kernel names records in EFI variables `dmesg-efi…-ID`, where ID is the time in seconds, two
/// digits for the part and three for the count. A copy's own time is when it was copied.
fn time_in_name(name: &str) -> Option<i64> {
    let (backend, id) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let id: i64 = id.parse().ok()?;
    backend.starts_with("efi").then_some(id / 100_000).filter(|time| *time > 0)
}

/// The line in which the kernel says why it panicked, from there on.
fn panic_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find_map(|line| line.find(MARK).and_then(|at| line.get(at..)))?;
    let clean = line.chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER);
    Some(clean.take(MAX_LINE).collect::<String>().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DEPLOYED: i64 = 1_700_000_000;

    /// Writes a record with the panic of this name.
    fn record(folder: &Path, name: &str, time: i64, why: &str) {
        let text = format!("Panic#1 Part1\n<0>[    2.1] {MARK}: {why}\n<4>[    2.2] CPU: 0\n");
        write(folder, name, time, text.as_bytes());
    }

    fn write(folder: &Path, name: &str, time: i64, bytes: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test may")]
        fs::write(&path, bytes).unwrap();
        Dir::open(path.parent().unwrap())
            .unwrap()
            .set_mtime(path.file_name().unwrap(), time)
            .unwrap();
    }

    fn found(folder: &Path) -> Option<String> {
        let folders = [folder.join("none"), folder.join("sys"), folder.join("var")];
        last_panic(&folders, DEPLOYED)
    }

    #[test]
    fn the_newest_panic_since_the_deployment_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (sys, var) = (folder.path().join("sys"), folder.path().join("var"));
        assert_eq!(found(folder.path()), None);
        record(&sys, "dmesg-ramoops-0", DEPLOYED - 1, "an old one");
        assert_eq!(found(folder.path()), None, "that was before");
        record(&sys, "dmesg-ramoops-1", DEPLOYED, "at once");
        assert_eq!(found(folder.path()).unwrap(), format!("{MARK}: at once"));
        record(&var, "17000000/dmesg-erst-7", DEPLOYED + 9, "moved");
        record(&sys, "console-ramoops-0", DEPLOYED + 99, "no record of a panic");
        record(&var, "a/b/c/d/dmesg-erst-8", DEPLOYED + 99, "too deep");
        std::os::unix::fs::symlink("dmesg-ramoops-0", sys.join("dmesg-link")).unwrap();
        assert_eq!(found(folder.path()).unwrap(), format!("{MARK}: moved"));
    }

    #[test]
    fn a_copy_is_as_old_as_its_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let var = folder.path().join("var");
        let efi = |time: i64, part: u32| format!("1700/dmesg-efi_pstore-{time}{part:02}001");
        record(&var, &efi(DEPLOYED - 5, 1), DEPLOYED + 50, "of another system");
        assert_eq!(found(folder.path()), None);
        write(&var, &efi(DEPLOYED + 5, 1), DEPLOYED + 50, b"Panic#1 Part1\n<4>[ 2.2] CPU: 0\n");
        record(&var, &efi(DEPLOYED + 5, 2), DEPLOYED + 50, "in the second part");
        assert_eq!(found(folder.path()).unwrap(), format!("{MARK}: in the second part"));
    }

    #[test]
    fn a_line_is_cut_and_clean() {
        let long = format!("<0>[ 1.0] {MARK}: \x1b[31mred\u{7}{}\r\nmore", "x".repeat(4000));
        let line = panic_line(long.as_bytes()).unwrap();
        assert!(line.starts_with(&format!("{MARK}: [31mredxxx")), "{line}");
        assert_eq!(line.chars().count(), MAX_LINE);
        let bytes = [b"\xff\xfe".as_slice(), MARK.as_bytes(), b": a\xffb"].concat();
        assert_eq!(panic_line(&bytes).unwrap(), format!("{MARK}: ab"));
        assert_eq!(panic_line(b"Oops#1 Part1\n<4>[ 1.0] it goes on\n"), None);
    }

    #[test]
    fn what_is_too_much_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path().join("sys");
        let size = usize::try_from(MAX_RECORD).unwrap() + 1;
        write(&sys, "dmesg-huge-0", DEPLOYED + 1, &MARK.as_bytes().repeat(size / MARK.len() + 1));
        assert_eq!(found(folder.path()), None);
        for number in 0..=MAX_RECORDS {
            write(&sys, &format!("dmesg-many-{number}"), DEPLOYED + 2, b"nothing");
        }
        record(&sys, "dmesg-many-last", DEPLOYED, "behind all others");
        assert_eq!(found(folder.path()), None);
    }
}
