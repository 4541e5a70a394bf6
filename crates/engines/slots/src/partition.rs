//! Partitions as they are given: where the new content goes, and where the old one is.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags};
use sha2::{Digest as _, Sha256};
use updraft_error::Kind;
use updraft_fs::PageBuffer;
use updraft_payload::{Content, Manifest, Partition};

use crate::{Error, Result};

const BUFFER: usize = 1 << 20;

/// Where a partition is: block devices, or files in place of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where the new content goes. What it holds is lost.
    pub target: PathBuf,
    /// Where the old content is; it stays as it is.
    pub source: Option<PathBuf>,
}

/// What becomes of targets and partitions that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Each partition of the payload needs a target that is there and large enough.
    #[default]
    Install,
    /// Targets are files, made as long as the new content; partitions without a target are left out.
    Extract,
}

/// A partition that is ready to be written.
#[derive(Debug)]
pub(crate) struct OpenPartition {
    pub(crate) target: File,
    pub(crate) target_path: PathBuf,
    pub(crate) source: Option<File>,
    pub(crate) source_path: PathBuf,
    /// Whether something was written that may not be durable.
    pub(crate) is_dirty: bool,
}

/// Opens the partitions of a payload, in its order; `None` for those that are left out. Nothing is
/// written, but targets of [`Mode::Extract`] are made.
pub(crate) fn open_all(
    manifest: &Manifest,
    places: &BTreeMap<String, Places>,
    mode: Mode,
) -> Result<Vec<Option<OpenPartition>>> {
    let unknown = places
        .keys()
        .find(|name| !manifest.partitions.iter().any(|partition| partition.name == **name));
    if let Some(name) = unknown {
        return Err(Error::partition(name, Kind::NotFound, "the payload has no such partition"));
    }
    // Sources before targets, so that no target is made when a source is missing.
    let mut used = Used::default();
    let mut sources = Vec::new();
    for partition in &manifest.partitions {
        let places = places.get(&partition.name);
        if places.is_none() && mode == Mode::Install {
            return Err(Error::partition(&partition.name, Kind::NotFound, "it has no target"));
        }
        sources.push(places.map(|places| open_source(partition, places, &mut used)).transpose()?);
    }
    let mut opened = Vec::new();
    for (partition, source) in manifest.partitions.iter().zip(sources) {
        let (Some(source), Some(places)) = (source, places.get(&partition.name)) else {
            opened.push(None);
            continue;
        };
        let target = open_target(partition, &places.target, mode, &mut used)?;
        opened.push(Some(OpenPartition {
            target,
            target_path: places.target.clone(),
            source,
            source_path: places.source.clone().unwrap_or_default(),
            is_dirty: false,
        }));
    }
    Ok(opened)
}

/// Which files and devices are in use: a target may be nothing else.
#[derive(Default)]
struct Used {
    sources: Vec<(u64, u64)>,
    targets: Vec<(u64, u64)>,
}

/// The same for all paths that lead to one file, or to one device.
fn identity(about: &Metadata) -> (u64, u64) {
    if about.file_type().is_block_device() {
        (u64::MAX, about.rdev())
    } else {
        (about.dev(), about.ino())
    }
}

fn open_source(partition: &Partition, places: &Places, used: &mut Used) -> Result<Option<File>> {
    let is_read = partition.operations.iter().any(|operation| operation.kind.reads_source());
    let (true, Some(old)) = (is_read, partition.old) else { return Ok(None) };
    let name = &partition.name;
    let path = places.source.as_deref().ok_or_else(|| {
        Error::partition(
            name,
            Kind::NotFound,
            "the payload reads its old content, and none is given",
        )
    })?;
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    used.sources.push(identity(&file.metadata().map_err(Error::file("look at", path))?));
    let size = file.seek(SeekFrom::End(0)).map_err(Error::file("measure", path))?;
    if size < old.size {
        let problem = format!("its old content has {} bytes, and {size} are there", old.size);
        return Err(Error::partition(name, Kind::Conflict, problem));
    }
    Ok(Some(file))
}

fn open_target(partition: &Partition, path: &Path, mode: Mode, used: &mut Used) -> Result<File> {
    let name = &partition.name;
    let is_device = std::fs::metadata(path).is_ok_and(|about| about.file_type().is_block_device());
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(mode == Mode::Extract && !is_device);
    if is_device {
        // Refused by the kernel when it is mounted, or somebody else's.
        options.custom_flags(OFlags::EXCL.bits().cast_signed());
    }
    let mut file = options.open(path).map_err(Error::file("open", path))?;
    let about = file.metadata().map_err(Error::file("look at", path))?;
    if !about.is_file() && !is_device {
        return Err(Error::partition(name, Kind::Invalid, "its target is neither file nor device"));
    }
    let own = identity(&about);
    if used.sources.contains(&own) || used.targets.contains(&own) {
        let problem = "its target is also the source or target of a partition";
        return Err(Error::partition(name, Kind::Conflict, problem));
    }
    used.targets.push(own);
    if mode == Mode::Extract && !is_device {
        file.set_len(partition.new.size).map_err(Error::file("set the size of", path))?;
    }
    let size = file.seek(SeekFrom::End(0)).map_err(Error::file("measure", path))?;
    if size < partition.new.size {
        let needed = partition.new.size;
        let problem = format!("its new content has {needed} bytes, and its target {size}");
        return Err(Error::partition(name, Kind::Exhausted, problem));
    }
    Ok(file)
}

/// Whether a file begins with this content. It is read from the medium where that can be had.
pub(crate) fn holds(file: &File, path: &Path, content: &Content) -> Result<bool> {
    holds_with(file, path, content, &mut |_| Ok(()))
}

/// The same; `advance` is told how many bytes were read, and may stop it.
pub(crate) fn holds_with(
    file: &File,
    path: &Path,
    content: &Content,
    advance: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<bool> {
    use std::os::unix::fs::FileExt as _;

    // What was written is durable by now, so that it is dropped from memory; only advice.
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    let mut hash = Sha256::new();
    let mut buffer = PageBuffer::new(BUFFER);
    let mut at = 0;
    while at < content.size {
        let most = usize::try_from(content.size - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact_at(piece, at).map_err(Error::file("read", path))?;
        hash.update(&*piece);
        at += most as u64;
        advance(at)?;
    }
    Ok(hash.finalize()[..] == content.sha256)
}
