//! A tar stream as a source.

use std::io::{self, BufRead, BufReader, Read};

use ::tar::{Archive, Entry, EntryType};
use flate2::bufread::MultiGzDecoder;
use updraft_error::Kind;
use updraft_ostree::{DirMeta, FileHeader, FileName, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Xattrs};

use super::CommitOptions;
use super::filter::{Attributes, Filter};
use super::pool::{Job, Pool, not_storable};
use super::tree::{FileRef, Meta, Tree};
use crate::store::CHUNK;
use crate::{Error, Result};

const BUFFER: usize = 64 << 10;
/// The unit of tar.
const BLOCK: usize = 512;

/// Lays what is in the stream over `root`.
pub(super) fn add(
    root: &mut Tree,
    reader: &mut (dyn Read + Send),
    options: &CommitOptions,
    filter: &Filter<'_>,
    pool: &mut Pool<'_>,
) -> Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let magic = reader.fill_buf().map_err(failed)?.get(..2) == Some(&[0x1f, 0x8b]);
    if magic {
        read_all(root, &mut MultiGzDecoder::new(reader), options, filter, pool)
    } else {
        read_all(root, &mut reader, options, filter, pool)
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("read the tar stream", error)
}

fn read_all(
    root: &mut Tree,
    reader: &mut dyn Read,
    options: &CommitOptions,
    filter: &Filter<'_>,
    pool: &mut Pool<'_>,
) -> Result<()> {
    let mut tail = Tail { reader, zeros: 0 };
    let mut archive = Archive::new(&mut tail);
    let mut import = Import { options, filter, pool };
    for entry in archive.entries().map_err(failed)? {
        import.entry(root, entry.map_err(failed)?)?;
    }
    // A stream that was cut between two members looks like its end, but for the zeros.
    if tail.zeros < BLOCK {
        return Err(failed(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ends without the blocks of zeros that end an archive",
        )));
    }
    if root.meta().is_none() && options.tar_autocreate_parents {
        root.set_meta(Meta::Made(default_meta()));
    }
    Ok(())
}

fn default_meta() -> DirMeta {
    DirMeta::new(0, 0, 0o755, Xattrs::new())
}

struct Import<'a, 'scope> {
    options: &'a CommitOptions,
    filter: &'a Filter<'a>,
    pool: &'a mut Pool<'scope>,
}

impl Import<'_, '_> {
    fn entry<R: Read>(&mut self, root: &mut Tree, mut entry: Entry<'_, R>) -> Result<()> {
        let raw = entry.path_bytes().into_owned();
        let parts = split(&raw)?;
        let path = format!("/{}", parts.join("/"));
        if self.skips(&parts) {
            return Ok(());
        }
        let kind = match entry.header().entry_type() {
            // Streams older than ustar mark directories by their name only.
            EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => {
                EntryType::Directory
            }
            EntryType::Continuous | EntryType::GNUSparse => EntryType::Regular,
            other => other,
        };
        let Some((name, parents)) = parts.split_last() else {
            if kind == EntryType::Directory {
                let meta = self.directory(&mut entry, &path)?;
                root.set_meta(Meta::Made(meta));
            }
            return Ok(());
        };
        let name = FileName::new(name.as_str())?;
        let file = match kind {
            EntryType::Directory => {
                let meta = self.directory(&mut entry, &path)?;
                let transaction = self.pool.transaction;
                let parent = self.parent(root, parents)?;
                parent.open_dir(transaction, name)?.set_meta(Meta::Made(meta));
                return Ok(());
            }
            EntryType::Regular => self.regular(&mut entry, &path)?,
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let header = self.header(&mut entry, &path, S_IFLNK)?;
                let symlink_target = Some(FileHeader::target_from_bytes(&target)?);
                let header = FileHeader { symlink_target, ..header };
                FileRef::Stored(self.pool.transaction.write_symlink(&header)?.checksum)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                self.linked(root, &split(&target)?)?
            }
            EntryType::XGlobalHeader => return Ok(()),
            _ => return Err(not_storable(path.as_ref())),
        };
        self.parent(root, parents)?.put_file(name, file)
    }

    /// Whether the path or a directory above it is left out.
    fn skips(&self, parts: &[String]) -> bool {
        if !self.filter.needs_paths() {
            return false;
        }
        let mut path = String::new();
        parts.iter().any(|part| {
            path.push('/');
            path.push_str(part);
            self.filter.skips(&path)
        })
    }

    fn attributes<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        path: &str,
        kind: u32,
    ) -> Result<Attributes> {
        let header = entry.header();
        let number = |value: io::Result<u64>| {
            let value = value.map_err(failed)?;
            u32::try_from(value).map_err(|_| {
                let message =
                    format!("read the tar stream: the owner {value} of {path} is too large");
                Error::other(Kind::Unsupported, message)
            })
        };
        let uid = number(header.uid())?;
        let gid = number(header.gid())?;
        let mode = kind | (header.mode().map_err(failed)? & !S_IFMT & 0o7777);
        let xattrs = if self.filter.wants_xattrs() { pax_xattrs(entry)? } else { Xattrs::new() };
        let mut attributes = Attributes { uid, gid, mode, xattrs };
        self.filter.apply(path, &mut attributes);
        Ok(attributes)
    }

    fn header<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        path: &str,
        kind: u32,
    ) -> Result<FileHeader> {
        let Attributes { uid, gid, mode, xattrs } = self.attributes(entry, path, kind)?;
        Ok(FileHeader { uid, gid, mode, symlink_target: None, xattrs })
    }

    fn directory<R: Read>(&self, entry: &mut Entry<'_, R>, path: &str) -> Result<DirMeta> {
        let Attributes { uid, gid, mode, xattrs } = self.attributes(entry, path, S_IFDIR)?;
        Ok(DirMeta { uid, gid, mode, xattrs })
    }

    fn regular<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &str) -> Result<FileRef> {
        let header = self.header(entry, path, S_IFREG)?;
        let size = entry.size();
        if size > CHUNK as u64 {
            let mut content = Whole { entry, left: size };
            let stored = self.pool.transaction.write_file(&header, size, &mut content)?;
            return Ok(FileRef::Stored(stored.checksum));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        Whole { entry, left: size }.read_to_end(&mut bytes).map_err(failed)?;
        self.pool.submit(Job::Bytes { header, bytes })
    }

    /// The file that a hard link names.
    fn linked(&self, root: &mut Tree, parts: &[String]) -> Result<FileRef> {
        let missing = || {
            let message = format!(
                "read the tar stream: a hard link names /{}, which is not before it",
                parts.join("/")
            );
            Error::other(Kind::Invalid, message)
        };
        let (name, parents) = parts.split_last().ok_or_else(missing)?;
        let mut tree = root;
        for part in parents {
            if !tree.dirs.contains_key(part.as_str()) {
                return Err(missing());
            }
            tree = tree.open_dir(self.pool.transaction, FileName::new(part.as_str())?)?;
        }
        tree.files.get(name.as_str()).copied().ok_or_else(missing)
    }

    /// The directory above an entry.
    fn parent<'t>(&self, root: &'t mut Tree, parents: &[String]) -> Result<&'t mut Tree> {
        let may_make = self.options.tar_autocreate_parents;
        let mut tree = root;
        let mut path = String::new();
        if tree.meta().is_none() && may_make {
            tree.set_meta(Meta::Made(default_meta()));
        }
        for part in parents {
            path.push('/');
            path.push_str(part);
            let known = tree.dirs.contains_key(part.as_str());
            if !known && !may_make {
                return Err(Error::NoSuchPath(path));
            }
            tree = tree.open_dir(self.pool.transaction, FileName::new(part.as_str())?)?;
            if tree.meta().is_none() {
                tree.set_meta(Meta::Made(default_meta()));
            }
        }
        Ok(tree)
    }
}

/// The parts of a member's name. `..` is refused; a leading `/` or `./` means nothing.
fn split(raw: &[u8]) -> Result<Vec<String>> {
    let text = FileHeader::target_from_bytes(raw)?;
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.map(|part| Ok(FileName::new(part)?.as_str().to_owned())).collect()
}

/// The extended attributes in pax records, as GNU tar and bsdtar write them.
fn pax_xattrs<R: Read>(entry: &mut Entry<'_, R>) -> Result<Xattrs> {
    const PREFIX: &[u8] = b"SCHILY.xattr.";
    let Some(records) = entry.pax_extensions().map_err(failed)? else { return Ok(Xattrs::new()) };
    let mut list = Vec::new();
    for record in records {
        let record = record.map_err(failed)?;
        if let Some(name) = record.key_bytes().strip_prefix(PREFIX) {
            list.push((name.to_vec(), record.value_bytes().to_vec()));
        }
    }
    Ok(Xattrs::from_list(list)?)
}

/// A member's content; that it ends early is an error.
struct Whole<'a, 'e, R: Read> {
    entry: &'a mut Entry<'e, R>,
    left: u64,
}

impl<R: Read> Read for Whole<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.entry.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

/// Counts the zeros that were read last.
struct Tail<'a> {
    reader: &'a mut dyn Read,
    zeros: usize,
}

impl Read for Tail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match buffer[..read].iter().rposition(|byte| *byte != 0) {
            None => self.zeros += read,
            Some(last) => self.zeros = read - last - 1,
        }
        Ok(read)
    }
}
