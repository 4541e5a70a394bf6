//! A tar or cpio stream as a source, as it is or compressed.

mod cpio;
mod pax;
mod sparse;

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
use pax::Pax;
use sparse::Sparse;

const BUFFER: usize = 64 << 10;
/// The unit of tar.
const BLOCK: usize = 512;
/// How streams begin that we unpack ourselves.
const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: &[u8] = b"BZh";
/// What unpacking xz may take, as its own largest preset does.
const XZ_MEMORY: u64 = 96 << 20;
/// How streams begin that we do not unpack, and who does.
const COMPRESSED: &[(&[u8], &str)] = &[(&[0x04, 0x22, 0x4d, 0x18], "lz4"), (b"LZIP", "lzip")];

/// Lays what is in the stream over `root`.
pub(super) fn add(
    root: &mut Tree,
    reader: &mut (dyn Read + Send),
    options: &CommitOptions,
    filter: &Filter<'_>,
    pool: &mut Pool<'_>,
) -> Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let beginning = reader.fill_buf().map_err(failed)?;
    if let Some((_, program)) = COMPRESSED.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        let message = format!(
            "read the tar stream: it is compressed; unpack it on the way, as in \
             `{program} -dc FILE | … --tree=tar=-`"
        );
        return Err(Error::other(Kind::Unsupported, message));
    }
    let unpacked: Box<dyn Read + '_> = if beginning.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(reader))
    } else if beginning.starts_with(XZ) {
        let flags = liblzma::stream::CONCATENATED;
        let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags);
        let stream = stream.map_err(|error| failed(io::Error::other(error)))?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
    } else if beginning.starts_with(ZSTD) {
        Box::new(zstd::Decoder::with_buffer(reader).map_err(failed)?)
    } else if beginning.starts_with(BZIP2) {
        Box::new(bzip2::bufread::MultiBzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    let mut unpacked = BufReader::with_capacity(BUFFER, unpacked);
    let beginning = unpacked.fill_buf().map_err(failed)?;
    if cpio::MAGIC.iter().any(|magic| beginning.starts_with(magic)) {
        read_all(root, &mut cpio::Cpio::new(unpacked), options, filter, pool)
    } else {
        read_all(root, &mut unpacked, options, filter, pool)
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
    let mut import = Import { options, filter, pool, forward: Vec::new() };
    for entry in archive.entries().map_err(failed)? {
        import.entry(root, entry.map_err(failed)?)?;
    }
    import.link_forward(root)?;
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
    /// Hard links whose targets had not come yet, and their targets.
    forward: Vec<(Vec<String>, Vec<String>)>,
}

impl Import<'_, '_> {
    fn entry<R: Read>(&mut self, root: &mut Tree, mut entry: Entry<'_, R>) -> Result<()> {
        let Pax { xattrs, sparse } = Pax::read(&mut entry)?;
        let made_up = entry.path_bytes();
        let raw = sparse.as_ref().and_then(|sparse| sparse.name.clone());
        let raw = raw.unwrap_or_else(|| made_up.into_owned());
        let parts = self.renamed(split(&raw)?, raw.ends_with(b"/"))?;
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
                let meta = self.directory(&entry, &path, xattrs)?;
                root.set_meta(Meta::Made(meta));
            }
            return Ok(());
        };
        let name = FileName::new(name.as_str())?;
        let file = match kind {
            EntryType::Directory => {
                let meta = self.directory(&entry, &path, xattrs)?;
                let transaction = self.pool.transaction;
                let parent = self.parent(root, parents)?;
                parent.open_dir(transaction, name)?.set_meta(Meta::Made(meta));
                return Ok(());
            }
            EntryType::Regular => {
                let header = self.header(&entry, &path, S_IFREG, xattrs)?;
                self.regular(&mut entry, header, sparse)?
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let header = self.header(&entry, &path, S_IFLNK, xattrs)?;
                let symlink_target = Some(FileHeader::target_from_bytes(&target)?);
                let header = FileHeader { symlink_target, ..header };
                FileRef::Stored(self.pool.transaction.write_symlink(&header)?.checksum)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = self.renamed(split(&target)?, false)?;
                let Some(file) = self.linked(root, &target)? else {
                    let link = (parts, target);
                    self.forward.push(link);
                    return Ok(());
                };
                file
            }
            EntryType::XGlobalHeader => return Ok(()),
            _ => return Err(not_storable(path.as_ref())),
        };
        self.parent(root, parents)?.put_file(name, file)
    }

    /// The path as the pathname filter changes it, which sees the slash after a directory's name.
    fn renamed(&self, parts: Vec<String>, has_slash: bool) -> Result<Vec<String>> {
        match &self.options.tar_pathname_filter {
            Some(filter) if !parts.is_empty() => {
                let path = parts.join("/") + if has_slash { "/" } else { "" };
                split(filter.apply(&path).as_bytes())
            }
            _ => Ok(parts),
        }
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
        entry: &Entry<'_, R>,
        path: &str,
        kind: u32,
        xattrs: Xattrs,
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
        let xattrs = if self.filter.wants_xattrs() { xattrs } else { Xattrs::new() };
        let mut attributes = Attributes { uid, gid, mode, xattrs };
        self.filter.apply(path, &mut attributes);
        Ok(attributes)
    }

    fn header<R: Read>(
        &self,
        entry: &Entry<'_, R>,
        path: &str,
        kind: u32,
        xattrs: Xattrs,
    ) -> Result<FileHeader> {
        let Attributes { uid, gid, mode, xattrs } = self.attributes(entry, path, kind, xattrs)?;
        Ok(FileHeader { uid, gid, mode, symlink_target: None, xattrs })
    }

    fn directory<R: Read>(
        &self,
        entry: &Entry<'_, R>,
        path: &str,
        xattrs: Xattrs,
    ) -> Result<DirMeta> {
        let Attributes { uid, gid, mode, xattrs } =
            self.attributes(entry, path, S_IFDIR, xattrs)?;
        Ok(DirMeta { uid, gid, mode, xattrs })
    }

    fn regular<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        header: FileHeader,
        sparse: Option<Sparse>,
    ) -> Result<FileRef> {
        let size = entry.size();
        let member = Whole { entry, left: size };
        match sparse {
            None => self.content(header, size, member),
            Some(sparse) => {
                let (size, expanded) = sparse.expand(member).map_err(failed)?;
                self.content(header, size, expanded)
            }
        }
    }

    fn content(
        &mut self,
        header: FileHeader,
        size: u64,
        mut content: impl Read,
    ) -> Result<FileRef> {
        if size > CHUNK as u64 {
            let stored = self.pool.transaction.write_file(&header, size, &mut content)?;
            return Ok(FileRef::Stored(stored.checksum));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        content.read_to_end(&mut bytes).map_err(failed)?;
        self.pool.submit(Job::Bytes { header, bytes })
    }

    /// Hard links to what came after them.
    fn link_forward(&mut self, root: &mut Tree) -> Result<()> {
        for (parts, target) in std::mem::take(&mut self.forward) {
            let Some((name, parents)) = parts.split_last() else { continue };
            let file = self.linked(root, &target)?.ok_or_else(|| {
                let message = format!(
                    "read the tar stream: /{} is a hard link to /{}, which is not in it",
                    parts.join("/"),
                    target.join("/")
                );
                Error::other(Kind::Invalid, message)
            })?;
            self.parent(root, parents)?.put_file(FileName::new(name.as_str())?, file)?;
        }
        Ok(())
    }

    /// The file that a hard link names, if it is there.
    fn linked(&self, root: &mut Tree, parts: &[String]) -> Result<Option<FileRef>> {
        let Some((name, parents)) = parts.split_last() else { return Ok(None) };
        let mut tree = root;
        for part in parents {
            if !tree.dirs.contains_key(part.as_str()) {
                return Ok(None);
            }
            tree = tree.open_dir(self.pool.transaction, FileName::new(part.as_str())?)?;
        }
        Ok(tree.files.get(name.as_str()).copied())
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
