//! `ostree checksum`: the name that a file or directory would have as an object.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest as _, Sha256};
use updraft_error::Kind;
use updraft_fs::{Dir, xattr};
use updraft_ostree::{Checksum, DirMeta, FileHeader, Xattrs};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

/// Print the checksum that a file or directory would have in a repository.
#[derive(Debug, Args)]
pub(crate) struct ChecksumOf {
    /// Leave extended attributes out.
    #[arg(long)]
    ignore_xattrs: bool,
    /// The file or directory.
    path: PathBuf,
}

impl ChecksumOf {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let attributes = Attributes { no_xattrs: self.ignore_xattrs, ..Attributes::default() };
        let checksum = of_path(&self.path, attributes)?;
        let shown = serde_json::json!({ "path": self.path, "checksum": checksum.to_string() });
        terminal.show(&shown, |_| terminal.line(checksum))
    }
}

/// What of a local file or directory counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes {
    pub(crate) no_xattrs: bool,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// The checksum of the object that a local file, or of the metadata that a local directory, would
/// become.
pub(crate) fn of_path(path: &Path, attributes: Attributes) -> Result<Checksum> {
    let failed = || format!("failed to look at {}", path.display());
    let status = fs::symlink_metadata(path).with_context(failed)?;
    let xattrs = if attributes.no_xattrs { Xattrs::new() } else { xattrs(path)? };
    let uid = attributes.uid.unwrap_or(status.uid());
    let gid = attributes.gid.unwrap_or(status.gid());
    let mode = status.mode();
    if status.is_dir() {
        return Ok(DirMeta { uid, gid, mode, xattrs }.checksum());
    }
    if status.is_symlink() {
        let target = fs::read_link(path).with_context(failed)?;
        let target = target.to_str().ok_or_else(|| {
            Failure::new(Kind::Unsupported, "Not UTF-8: the target of the symbolic link")
        })?;
        return Ok(FileHeader::symlink(uid, gid, target, xattrs).checksum(b""));
    }
    if !status.is_file() {
        let message = format!("Not a regular file or symlink: {}", path.display());
        return Err(Failure::new(Kind::Unsupported, message));
    }
    let header = FileHeader { uid, gid, mode, symlink_target: None, xattrs };
    let mut hash = Sha256::new();
    hash.update(header.encode_content());
    let mut file = fs::File::open(path).with_context(failed)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let length = file.read(&mut buffer).with_context(failed)?;
        if length == 0 {
            return Ok(Checksum::finish(hash));
        }
        hash.update(&buffer[..length]);
    }
}

fn xattrs(path: &Path) -> Result<Xattrs> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let dir = Dir::open(parent)?;
    // A path such as `..` has no name of its own: its attributes are those of the directory.
    let list = match path.file_name() {
        Some(name) => xattr::all_at(&dir, name)?,
        None => xattr::all_at(&Dir::open(path)?, ".")?,
    };
    // Attributes without a value are left out, as by a commit.
    let list = list
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.as_bytes().to_vec(), value));
    Ok(Xattrs::from_list(list.collect())?)
}
