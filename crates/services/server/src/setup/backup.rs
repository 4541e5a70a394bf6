//! `backup`: all that makes up a server in one file.
//!
//! A tar archive, compressed by zstd:
//!
//! ```text
//! backup.json      what it is a backup of ([`About`])
//! updraft.db       the database as one file of SQLite, whichever it was
//! server.toml, …   the other files of the data folder, as they are
//! SHA256SUMS       of all files before it, as sha256sum writes them; the end of a whole backup
//! ```
//!
//! The server may run meanwhile. The database is copied first, and what it speaks of is in the data
//! folder before the database does: what is copied later has all of it, and perhaps more.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use updraft_fs::{Dir, LockFile, LockMode};
use updraft_task::{Context, Event, Unit};

use crate::config::Config;
use crate::error::{Error, OPEN_DATA_FOLDER, Result};
use crate::layout::Layout;
use crate::storage::Database;

/// The version of this form of backups.
pub(super) const FORM: u32 = 1;
pub(super) const ABOUT: &str = "backup.json";
pub(super) const SUMS: &str = "SHA256SUMS";
pub(super) const DATABASE: &str = "updraft.db";

/// Held while a backup is made.
const LOCK: &str = "backup.lock";
/// The folder in the data folder for the database's copy.
const WORK: &str = ".backup";
/// zstd's level: most of a data folder is compressed already.
const LEVEL: i32 = 3;
/// Files up to so many bytes are read at once, so that one that changes is copied whole.
const SMALL: u64 = 1 << 20;
/// How often the Image repository is read again when it changed meanwhile.
const ATTEMPTS: u32 = 20;

const ACTION: &str = "write the backup";
const PHASE: &str = "copying files";

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the form of backups.
    pub form: u32,
    /// The version of the server that made it.
    pub version: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether contents of targets and the OSTree repository are in it.
    pub contents: bool,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// What it is.
    #[serde(flatten)]
    pub about: About,
    /// How many files are in it.
    pub files: u64,
    /// Their size together, in bytes, before they were compressed.
    pub bytes: u64,
}

/// Writes a backup of a data folder and its database. `contents`: with what devices download
/// (`treehub/` and `targets/`).
///
/// # Errors
/// When something cannot be read or written, when another backup is being made, and when it was
/// cancelled. What was written until then is no backup, and `restore` refuses it.
pub fn backup(
    ctx: &Context,
    layout: &Layout,
    now: Timestamp,
    contents: bool,
    out: impl Write,
) -> Result<Backup> {
    let folder = Dir::open(layout.root()).map_err(Error::fs(OPEN_DATA_FOLDER))?;
    let config = Config::load(&layout.config())?;
    let lock = LockFile::try_acquire(&folder, LOCK, LockMode::Exclusive)
        .map_err(Error::fs("lock the data folder for a backup"))?
        .ok_or_else(|| Error::Conflict {
            code: "backup_running",
            action: "make a backup".to_owned(),
            reason: "another one is being made".to_owned(),
        })?;
    let work = layout.root().join(WORK);
    // What a backup left that was killed; nobody else is at work here.
    remove_all(&work)?;
    folder.ensure_dir(WORK, 0o700).map_err(Error::fs("make a folder for the database's copy"))?;
    let about =
        About { form: FORM, version: env!("CARGO_PKG_VERSION").to_owned(), made_at: now, contents };
    let copy = work.join(DATABASE);
    let result = Database::of(layout, &config.database)
        .and_then(|database| database.copy_to_file(ctx, &copy))
        .and_then(|()| Archive::new(ctx, out)?.write(layout, about, &copy));
    remove_all(&work)?;
    drop(lock);
    result
}

fn remove_all(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: folder.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// An archive that is being written.
struct Archive<'c, W: Write> {
    ctx: &'c Context,
    tar: tar::Builder<zstd::Encoder<'static, W>>,
    sums: BTreeMap<PathBuf, String>,
    bytes: u64,
}

impl<'c, W: Write> Archive<'c, W> {
    fn new(ctx: &'c Context, out: W) -> Result<Self> {
        let mut packed = zstd::Encoder::new(out, LEVEL).map_err(unwritten)?;
        packed.include_checksum(true).map_err(unwritten)?;
        let tar = tar::Builder::new(packed);
        Ok(Self { ctx, tar, sums: BTreeMap::new(), bytes: 0 })
    }

    fn write(mut self, layout: &Layout, about: About, database: &Path) -> Result<Backup> {
        let text = serde_json::to_vec_pretty(&about)
            .map_err(|error| Error::Internal { action: ACTION, reason: error.to_string() })?;
        let head = header(text.len() as u64, 0o644, about.made_at.as_second().unsigned_abs());
        self.add(Path::new(ABOUT), head, text.as_slice())?;
        self.ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Bytes });
        self.add_file(Path::new(DATABASE), database)?;
        self.add_image(layout)?;
        for path in files(layout, about.contents)? {
            self.ctx.check().map_err(|_| Error::Interrupted { action: ACTION })?;
            self.add_file(&path, &layout.root().join(&path))?;
        }
        self.ctx.report(&Event::Finished { phase: PHASE });
        let files = self.sums.len() as u64;
        let mut sums = String::new();
        for (path, sum) in &self.sums {
            sums.push_str(sum);
            sums.push_str("  ");
            sums.push_str(&path.to_string_lossy());
            sums.push('\n');
        }
        let mut head = header(sums.len() as u64, 0o644, 0);
        self.tar.append_data(&mut head, SUMS, sums.as_bytes()).map_err(unwritten)?;
        let packed = self.tar.into_inner().map_err(unwritten)?;
        packed.finish().and_then(|mut out| out.flush()).map_err(unwritten)?;
        Ok(Backup { about, files, bytes: self.bytes })
    }

    /// Adds a folder with nothing in it, of which no file tells.
    fn add_folder(&mut self, path: &Path, mode: u32) -> Result<()> {
        let mut head = header(0, mode, 0);
        head.set_entry_type(tar::EntryType::Directory);
        self.tar.append_data(&mut head, path, std::io::empty()).map_err(unwritten)
    }

    /// Adds a file of the data folder, or a folder of it that is empty. One that is gone by now was
    /// deleted meanwhile.
    fn add_file(&mut self, path: &Path, from: &Path) -> Result<()> {
        let failed = |source| Error::Io { action: "read", path: from.to_owned(), source };
        let file = match File::open(from) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return self.add_folder(path, about.permissions().mode() & 0o777);
        }
        let modified = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_secs());
        let head = |size| header(size, about.permissions().mode() & 0o777, modified);
        if about.len() > SMALL {
            return self.add(path, head(about.len()), file.take(about.len()));
        }
        let mut bytes = Vec::new();
        file.take(SMALL * 2).read_to_end(&mut bytes).map_err(failed)?;
        self.add(path, head(bytes.len() as u64), bytes.as_slice())
    }

    /// Adds the Image repository as it stands at one moment.
    fn add_image(&mut self, layout: &Layout) -> Result<()> {
        let current = layout.image().join("timestamp.json");
        let now = || fs::read(&current).ok();
        for _ in 0..ATTEMPTS {
            let before = now();
            let mut all = Vec::new();
            for path in below(layout.root(), Path::new("image"))? {
                if layout.root().join(&path).is_dir() {
                    continue;
                }
                match fs::read(layout.root().join(&path)) {
                    Ok(bytes) => all.push((path, bytes)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(source) => {
                        return Err(Error::Io { action: "read", path, source });
                    }
                }
            }
            // Its timestamp is what changes last.
            if now() != before {
                continue;
            }
            for (path, bytes) in all {
                self.add(&path, header(bytes.len() as u64, 0o644, 0), bytes.as_slice())?;
            }
            return Ok(());
        }
        Err(Error::NotReady {
            action: "copy the Image repository".to_owned(),
            reason: "it changes all the time".to_owned(),
        })
    }

    fn add(&mut self, path: &Path, mut head: tar::Header, from: impl Read) -> Result<()> {
        let size = head.size().map_err(unwritten)?;
        let mut from = Counted { from, left: size, hash: Sha256::new() };
        self.tar.append_data(&mut head, path, &mut from).map_err(unwritten)?;
        if from.left > 0 {
            // The archive has fewer bytes than it said; there is no way on from here.
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(Error::Io { action: "read all of", path: path.to_owned(), source });
        }
        self.sums.insert(path.to_owned(), hex::encode(from.hash.finalize()));
        self.bytes += size;
        self.ctx.report(&Event::Advanced { phase: PHASE, done: self.bytes, total: None });
        Ok(())
    }
}

fn unwritten(source: std::io::Error) -> Error {
    Error::Io { action: "write", path: "the backup".into(), source }
}

fn header(size: u64, mode: u32, modified: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(modified);
    header
}

/// Hashes what is read.
struct Counted<R> {
    from: R,
    left: u64,
    hash: Sha256,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

/// The files of a data folder that are copied as they are, in the order in which they are: what
/// refers to others before those. Paths are relative to the data folder.
fn files(layout: &Layout, contents: bool) -> Result<Vec<PathBuf>> {
    let root = layout.root();
    let mut found = Vec::new();
    for name in names(root)? {
        let is_lock = name.extension().is_some_and(|extension| extension == "lock");
        let is_hidden = name.to_string_lossy().starts_with('.');
        let is_database = name.to_string_lossy().starts_with(DATABASE);
        let is_contents = name == Path::new("treehub") || name == Path::new("targets");
        let is_image = name == Path::new("image");
        // Tenants have backups of their own, and a bucket is saved by its store's means.
        let is_elsewhere = name == Path::new("tenants") || name == Path::new("incoming");
        if is_elsewhere
            || is_lock
            || is_hidden
            || is_database
            || is_image
            || (is_contents && !contents)
        {
            continue;
        }
        if fs::metadata(root.join(&name)).is_ok_and(|about| about.is_dir()) {
            found.extend(below(root, &name)?);
        } else {
            found.push(name);
        }
    }
    let objects = ["treehub/objects", "treehub/deltas", "treehub/updraft-deltas"];
    let (later, mut first): (Vec<_>, Vec<_>) = found
        .into_iter()
        .filter(|path| !path.starts_with("treehub/tmp"))
        .partition(|path| objects.iter().any(|folder| path.starts_with(folder)));
    first.extend(later);
    Ok(first)
}

/// The regular files and empty folders below a folder of the data folder, which may be a link to where
/// there is room.
fn below(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let names = names(&root.join(&folder))?;
        if names.is_empty() {
            found.push(folder);
            continue;
        }
        for name in names {
            let path = folder.join(name);
            match fs::symlink_metadata(root.join(&path)) {
                Ok(about) if about.is_dir() => folders.push(path),
                Ok(about) if about.is_file() => found.push(path),
                Ok(_) => tracing::warn!(path = %path.display(), "left out: not a file"),
                // Deleted meanwhile.
                Err(_) => {}
            }
        }
    }
    Ok(found)
}

/// The names in a folder, in order; none when it is gone.
fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Io { action: "list", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
    let mut names: Vec<PathBuf> = names.collect::<std::io::Result<_>>().map_err(failed)?;
    names.sort();
    Ok(names)
}
