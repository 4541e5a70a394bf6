//! `restore`: a data folder and its database from a backup.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_fs::Dir;
use updraft_ostree::RepoMode;
use updraft_repo::Repo;
use updraft_task::{Context, Event, Unit};

use super::backup::{ABOUT, About, DATABASE, FORM, SUMS};
use super::init::refuse_existing;
use crate::config::{Config, DatabaseConfig};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::layout::Layout;
use crate::storage::Database;

/// Where files are until all of them are there, in the data folder.
const WORK: &str = ".restore";
/// The largest file that says what a backup is, in bytes.
const MAX_ABOUT: u64 = 1 << 16;
/// The largest list of files, in bytes.
const MAX_SUMS: u64 = 1 << 30;
const PHASE: &str = "restoring files";

/// Which database a restored server has.
#[derive(Debug, Clone, Default)]
pub enum RestoreTo {
    /// What the backup's configuration names.
    #[default]
    Same,
    /// SQLite in the data folder.
    Sqlite,
    /// A database of PostgreSQL that has nothing yet.
    Postgres(DatabaseConfig),
}

/// Makes a data folder, and fills its database, from what [`super::backup()`] wrote.
///
/// Nothing is used before the whole backup was read and found good. What a server of the backup may
/// have signed since is left out ([`Fleet::go_on_from_backup`]).
///
/// # Errors
/// When the folder is not empty, when the database has something, when the backup is not whole, and
/// when something cannot be written.
pub fn restore(
    ctx: &Context,
    layout: &Layout,
    to: &RestoreTo,
    environment: Environment,
    from: impl Read,
) -> Result<About> {
    refuse_existing(layout.root())?;
    let folder =
        Dir::create_all(layout.root(), 0o700).map_err(Error::fs("make the data folder"))?;
    folder.ensure_dir(WORK, 0o700).map_err(Error::fs("make the data folder"))?;
    let work = Layout::new(layout.root().join(WORK));
    let restored = unpack(ctx, work.root(), from).and_then(|about| {
        settle(ctx, &work, to, environment, &about)?;
        Ok(about)
    });
    if restored.is_err() {
        // As empty as it was.
        let _ = fs::remove_dir_all(work.root());
        return restored;
    }
    folder.syncfs().map_err(Error::fs("write the data folder"))?;
    move_up(&folder, layout)?;
    folder.sync().map_err(Error::fs("write the data folder"))?;
    restored
}

/// Looks whether a backup is whole, and changes nothing.
///
/// # Errors
/// When it is not.
pub fn check_backup(ctx: &Context, from: impl Read) -> Result<About> {
    read(ctx, from, |_, _, bytes| {
        bytes.map_or(Ok(0), |bytes| std::io::copy(bytes, &mut std::io::sink()).map_err(unreadable))
    })
}

/// Takes what was unpacked into use.
fn settle(
    ctx: &Context,
    work: &Layout,
    to: &RestoreTo,
    environment: Environment,
    about: &About,
) -> Result<()> {
    let mut config = Config::load(&work.config())?;
    match to {
        RestoreTo::Same => {}
        RestoreTo::Sqlite => config.database = DatabaseConfig::default(),
        RestoreTo::Postgres(database) => config.database = database.clone(),
    }
    if !matches!(to, RestoreTo::Same) {
        super::init::write(&work.config(), config.to_toml().as_bytes(), 0o644)?;
    }
    let folder = Dir::open(work.root()).map_err(Error::fs("make the data folder"))?;
    let has_contents = config.storage.bucket.is_none();
    for name in ["image", "targets"].into_iter().filter(|_| has_contents) {
        folder.ensure_dir(name, 0o755).map_err(Error::fs("make the data folder"))?;
    }
    if has_contents && !work.treehub().exists() {
        Repo::init(work.treehub(), RepoMode::Archive, &updraft_repo::InitOptions::default())
            .map_err(Error::repo("make the OSTree repository treehub/"))?;
    }
    let file = work.root().join(DATABASE);
    if let Some(options) = config.database.postgres(work)? {
        // Filled in one transaction. Whatever fails from here on leaves it filled: then it has to be
        // emptied by hand before the next try, which is refused until then.
        let copy = Database::open(&file)?;
        let (database, _) = Database::connect(options)?;
        database.fill(ctx, &copy)?;
        drop(copy);
        fs::remove_file(&file).map_err(|source| Error::Io {
            action: "remove",
            path: file.clone(),
            source,
        })?;
    }
    Fleet::open(work.clone(), config, environment)?.go_on_from_backup(about.made_at)
}

/// Moves what is ready to where a server looks for it.
fn move_up(folder: &Dir, layout: &Layout) -> Result<()> {
    let failed = |source| Error::Io { action: "move files to", path: layout.root().into(), source };
    let work = layout.root().join(WORK);
    let entries = fs::read_dir(&work).map_err(failed)?;
    let names = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
    let mut names: Vec<PathBuf> = names.collect::<std::io::Result<_>>().map_err(failed)?;
    // Without its configuration or its database it is no server's, and no server starts in it.
    // Commit point: the last of the two.
    names.sort_by_key(|name| (name == Path::new("server.toml"), name == Path::new(DATABASE)));
    let from = folder.open_dir(WORK).map_err(Error::fs("write the data folder"))?;
    for name in names {
        from.rename(&name, folder, &name).map_err(Error::fs("write the data folder"))?;
    }
    folder.sync().map_err(Error::fs("write the data folder"))?;
    fs::remove_dir(&work).map_err(failed)
}

fn unpack(ctx: &Context, folder: &Path, from: impl Read) -> Result<About> {
    read(ctx, from, |path, mode, bytes| {
        let target = folder.join(path);
        let failed =
            |source: std::io::Error| Error::Io { action: "write", path: target.clone(), source };
        let folder = if bytes.is_some() { target.parent() } else { Some(target.as_path()) };
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let Some(bytes) = bytes else { return Ok(0) };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&target)
            .map_err(failed)?;
        let size = std::io::copy(bytes, &mut file).map_err(failed)?;
        file.flush().map_err(failed)?;
        Ok(size)
    })
}

/// Reads a backup and holds it against its sums. `take` is given each file but the first and the
/// last: its path, its mode, and its bytes, of which it reads all; and folders, which have none.
fn read(
    ctx: &Context,
    from: impl Read,
    mut take: impl FnMut(&Path, u32, Option<&mut dyn Read>) -> Result<u64>,
) -> Result<About> {
    let packed = zstd::Decoder::new(from).map_err(unreadable)?;
    let mut archive = tar::Archive::new(packed);
    let mut about = None;
    let mut sums = BTreeMap::new();
    let mut done = 0;
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Bytes });
    for entry in archive.entries().map_err(unreadable)? {
        ctx.check().map_err(|_| Error::Interrupted { action: "read the backup" })?;
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let kind = entry.header().entry_type();
        let is_folder = kind == tar::EntryType::Directory && about.is_some();
        if !(is_folder || kind == tar::EntryType::Regular) || !is_plain(&path) {
            return Err(damaged(format!("{} does not belong in it", path.display())));
        }
        let mode = entry.header().mode().map_err(unreadable)? & 0o777;
        if is_folder {
            take(&path, mode, None)?;
            continue;
        }
        if about.is_none() {
            about = Some(read_about(&path, &mut entry, &mut sums)?);
            continue;
        }
        if path == Path::new(SUMS) {
            let mut text = String::new();
            entry.take(MAX_SUMS).read_to_string(&mut text).map_err(unreadable)?;
            compare(&text, &sums)?;
            ctx.report(&Event::Finished { phase: PHASE });
            return about.ok_or_else(|| damaged("it does not say what it is"));
        }
        if sums.contains_key(&path) {
            return Err(damaged(format!("{} is in it twice", path.display())));
        }
        let mut hashed = Hashed { from: &mut entry, hash: Sha256::new(), trouble: None };
        let taken = take(&path, mode, Some(&mut hashed));
        if let Some(trouble) = hashed.trouble {
            return Err(trouble);
        }
        done += taken?;
        let sum = hex::encode(hashed.hash.finalize());
        sums.insert(path, sum);
        ctx.report(&Event::Advanced { phase: PHASE, done, total: None });
    }
    Err(damaged("it is cut short"))
}

fn read_about(
    path: &Path,
    entry: &mut impl Read,
    sums: &mut BTreeMap<PathBuf, String>,
) -> Result<About> {
    if path != Path::new(ABOUT) {
        return Err(damaged("it is not a backup of a server"));
    }
    let mut text = Vec::new();
    entry.take(MAX_ABOUT).read_to_end(&mut text).map_err(unreadable)?;
    sums.insert(path.to_owned(), hex::encode(Sha256::digest(&text)));
    let about: About = serde_json::from_slice(&text)
        .map_err(|error| damaged(format!("{ABOUT} cannot be read: {error}")))?;
    if about.form != FORM {
        let (form, version) = (about.form, about.version);
        return Err(damaged(format!("it has form {form}, made by version {version}")));
    }
    Ok(about)
}

/// Whether a path leads to somewhere in the data folder by names alone.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
        && !path.starts_with(WORK)
        && path.components().next().is_some()
}

fn compare(text: &str, found: &BTreeMap<PathBuf, String>) -> Result<()> {
    let mut listed = 0;
    for line in text.lines() {
        let (sum, path) =
            line.split_once("  ").ok_or_else(|| damaged(format!("{SUMS} cannot be read")))?;
        if found.get(Path::new(path)).is_none_or(|own| own != sum) {
            return Err(damaged(format!("{path} is not what it was")));
        }
        listed += 1;
    }
    if listed == found.len() { Ok(()) } else { Err(damaged("a file is in it that is not listed")) }
}

/// Hashes what is read.
struct Hashed<R> {
    from: R,
    hash: Sha256,
    /// Why it could not be read; the reader cannot tell it from a failure to write.
    trouble: Option<Error>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.trouble = Some(unreadable(error));
            std::io::Error::from(kind)
        })?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn unreadable(source: std::io::Error) -> Error {
    if matches!(source.kind(), std::io::ErrorKind::UnexpectedEof) {
        return damaged("it is cut short");
    }
    damaged(source)
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::Invalid { what: "the backup", reason: reason.to_string() }
}
