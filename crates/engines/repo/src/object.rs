//! Reading objects.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Read};

use sha2::{Digest, Sha256};
use updraft_fs::{Dir, FileKind, PageBuffer, xattr};
use updraft_ostree::{
    Checksum, Commit, DirMeta, DirTree, FRAME_LEN, FileHeader, MAX_METADATA_SIZE, Metadata,
    ObjectName, ObjectType, RepoMode, S_IFLNK, S_IFMT, frame_length,
};

use crate::codec::DeflatedFile;
use crate::ostreemeta::{OSTREEMETA, from_fs};
use crate::{CommitState, Error, Repo, Result, split_xattrs};

/// The largest target of a symbolic link.
const MAX_TARGET: u64 = 4096;
/// Nearly all headers are shorter.
const SMALL_HEADER: usize = 512;
/// What is hashed at once.
const BUFFER: usize = 128 << 10;

thread_local! {
    /// For [`Repo::hash_file`], which a check calls for each object.
    static SCRATCH: Cell<Option<PageBuffer>> = const { Cell::new(None) };
}

/// A file or symbolic link in the repository.
#[derive(Debug)]
pub struct FileObject {
    /// Owner, mode, target, xattrs.
    pub header: FileHeader,
    /// Bytes of content; 0 for a symbolic link.
    pub size: u64,
    /// The content, at its start.
    pub reader: FileReader,
}

/// The content of a file object.
pub enum FileReader {
    /// A symbolic link has none.
    Empty,
    /// The object's own file: it can be linked, cloned or copied by the kernel.
    Plain(File),
    /// Inflated while it is read; other than `size` bytes are an error.
    Deflated(Box<Inflate>),
}

/// The inflated content of a `.filez`.
pub struct Inflate {
    stream: DeflatedFile,
    left: u64,
}

impl FileReader {
    /// The object's own file, when it has one.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        if let Self::Plain(file) = self { Some(file) } else { None }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Empty => Ok(0),
            Self::Plain(file) => file.read(buffer),
            Self::Deflated(inflate) => inflate.read(buffer),
        }
    }
}

impl Read for Inflate {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it has another size than said");
        self.left = self.left.checked_sub(read as u64).ok_or_else(wrong)?;
        if read == 0 && !buffer.is_empty() {
            if self.left > 0 {
                return Err(wrong());
            }
            // No pull would take such a file, so it must not pass here.
            if !self.stream.is_at_end()? {
                let reason = "there is more after its end";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        Ok(read)
    }
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Plain(_) => "Plain",
            Self::Deflated(_) => "Deflated",
        })
    }
}

/// Where the files of objects lie: the repository's `objects`, or a staging folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) mode: RepoMode,
    pub(crate) disable_xattrs: bool,
}

impl Place<'_> {
    pub(crate) fn has(&self, object: &ObjectName) -> Result<bool> {
        let xattrs = split_xattrs::link_of(object, self.mode);
        Ok(self.dir.exists(object.loose_path(self.mode))?
            && xattrs.map_or(Ok(true), |path| self.dir.exists(path))?)
    }

    /// The bytes of a metadata object, as they are.
    pub(crate) fn read(&self, object: &ObjectName) -> Result<Option<Vec<u8>>> {
        let path = object.loose_path(self.mode);
        let read = self.dir.try_read(path, MAX_METADATA_SIZE as u64);
        read.map_err(Error::unreadable(object))
    }

    pub(crate) fn open_file(&self, checksum: &Checksum) -> Result<Option<FileObject>> {
        let object = ObjectName::new(*checksum, ObjectType::File);
        let path = object.loose_path(self.mode);
        match self.mode {
            RepoMode::Archive => self.open_archive(&object, &path),
            RepoMode::BareUser => self.open_bare_user(&object, &path),
            RepoMode::Bare | RepoMode::BareUserOnly | RepoMode::BareSplitXattrs => {
                self.open_bare(&object, &path)
            }
        }
    }

    fn open_bare(&self, object: &ObjectName, path: &str) -> Result<Option<FileObject>> {
        let Some(metadata) = self.dir.try_metadata(path)? else { return Ok(None) };
        let canonical = self.mode == RepoMode::BareUserOnly;
        let is_split = self.mode == RepoMode::BareSplitXattrs;
        let no_xattrs = canonical || is_split || self.disable_xattrs;
        let (uid, gid) = if canonical { (0, 0) } else { (metadata.uid, metadata.gid) };
        let mode = metadata.mode;
        if metadata.kind == FileKind::Symlink {
            let xattrs = if no_xattrs { vec![] } else { xattr::all_at(self.dir, path)? };
            let xattrs = if is_split {
                split_xattrs::read(self, object)?
            } else {
                from_fs(xattrs).map_err(Error::invalid(object))?
            };
            let target = self.dir.read_link(path)?.into_os_string().into_encoded_bytes();
            let target = FileHeader::target_from_bytes(&target).map_err(Error::invalid(object))?;
            let symlink_target = Some(target);
            let header = FileHeader { uid, gid, mode, symlink_target, xattrs };
            return Ok(Some(FileObject { header, size: 0, reader: FileReader::Empty }));
        }
        let file = self.dir.open_file(path).map_err(Error::unreadable(object))?;
        let xattrs = if no_xattrs { vec![] } else { xattr::all(&file)? };
        let xattrs = if is_split {
            split_xattrs::read(self, object)?
        } else {
            from_fs(xattrs).map_err(Error::invalid(object))?
        };
        let header = FileHeader { uid, gid, mode, symlink_target: None, xattrs };
        Ok(Some(FileObject { header, size: metadata.size, reader: FileReader::Plain(file) }))
    }

    fn open_bare_user(&self, object: &ObjectName, path: &str) -> Result<Option<FileObject>> {
        let opened = self.dir.try_open_file(path).map_err(Error::unreadable(object))?;
        let Some(mut file) = opened else { return Ok(None) };
        let meta = xattr::get(&file, OSTREEMETA)?
            .ok_or_else(|| Error::broken(object, "it has no xattr user.ostreemeta"))?;
        let DirMeta { uid, gid, mode, xattrs } =
            DirMeta::decode_ostreemeta(&meta).map_err(Error::invalid(object))?;
        if mode & S_IFMT == S_IFLNK {
            let mut target = Vec::new();
            (&mut file)
                .take(MAX_TARGET + 1)
                .read_to_end(&mut target)
                .map_err(|error| Error::io(format!("read object {object}"), error))?;
            if target.pop() != Some(0) || target.contains(&0) {
                return Err(Error::broken(object, "its link target does not end in its only NUL"));
            }
            let target = FileHeader::target_from_bytes(&target).map_err(Error::invalid(object))?;
            let header = FileHeader { uid, gid, mode, symlink_target: Some(target), xattrs };
            return Ok(Some(FileObject { header, size: 0, reader: FileReader::Empty }));
        }
        let size = file
            .metadata()
            .map_err(|error| Error::io(format!("look at object {object}"), error))?
            .len();
        let header = FileHeader { uid, gid, mode, symlink_target: None, xattrs };
        Ok(Some(FileObject { header, size, reader: FileReader::Plain(file) }))
    }

    /// The type and permissions that a bare-user repository keeps beside the object's file.
    pub(crate) fn bare_user_mode(&self, object: &ObjectName, path: &str) -> Result<u32> {
        let meta = xattr::get_at(self.dir, path, OSTREEMETA)?
            .ok_or_else(|| Error::broken(object, "it has no xattr user.ostreemeta"))?;
        Ok(DirMeta::decode_ostreemeta(&meta).map_err(Error::invalid(object))?.mode)
    }

    fn open_archive(&self, object: &ObjectName, path: &str) -> Result<Option<FileObject>> {
        let opened = self.dir.try_open_file(path).map_err(Error::unreadable(object))?;
        let Some(file) = opened else { return Ok(None) };
        let mut stream = DeflatedFile::new(file);
        let (header, size) = read_archive_header(object, &mut stream.raw())?;
        let reader = if header.is_symlink() {
            expect_end(object, &mut stream.raw())?;
            FileReader::Empty
        } else {
            FileReader::Deflated(Box::new(Inflate { stream, left: size }))
        };
        Ok(Some(FileObject { header, size, reader }))
    }
}

/// Reads the frame and header at the beginning of a `.filez`.
pub(crate) fn read_archive_header(
    object: &ObjectName,
    stream: &mut impl Read,
) -> Result<(FileHeader, u64)> {
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::broken(object, "it ends inside its header"),
        _ => Error::io(format!("read the header of object {object}"), error),
    };
    let mut frame = [0; FRAME_LEN];
    stream.read_exact(&mut frame).map_err(cut)?;
    let length = frame_length(frame).map_err(Error::invalid(object))?;
    let mut header = Vec::with_capacity(length.min(SMALL_HEADER));
    stream.take(length as u64).read_to_end(&mut header).map_err(cut)?;
    if header.len() != length {
        return Err(Error::broken(object, "it ends inside its header"));
    }
    FileHeader::decode_archive(&header).map_err(Error::invalid(object))
}

/// An object that is complete must not go on.
pub(crate) fn expect_end(object: &ObjectName, stream: &mut dyn Read) -> Result<()> {
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Error::broken(object, "there is more after its header")),
        Err(error) => Err(Error::io(format!("receive object {object}"), error)),
    }
}

impl Repo {
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            dir: self.objects_dir(),
            mode: self.mode(),
            disable_xattrs: self.config().disable_xattrs,
        }
    }

    /// The bytes of a metadata object. Bytes that do not hash to their name are an error.
    pub fn read_metadata(&self, object: &ObjectName) -> Result<Vec<u8>> {
        let bytes = self.read_unverified(object)?;
        check_hash(object, &bytes)?;
        Ok(bytes)
    }

    /// A commit, and whether all it refers to is here.
    pub fn load_commit(&self, checksum: &Checksum) -> Result<(Commit, CommitState)> {
        let object = ObjectName::new(*checksum, ObjectType::Commit);
        let bytes = self.read_metadata(&object)?;
        let commit = Commit::decode(&bytes).map_err(Error::invalid(&object))?;
        Ok((commit, self.commit_state(checksum)?))
    }

    /// The names in a directory.
    pub fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree> {
        let object = ObjectName::new(*checksum, ObjectType::DirTree);
        let bytes = self.read_metadata(&object)?;
        DirTree::decode(&bytes).map_err(Error::invalid(&object))
    }

    /// The metadata of a directory.
    pub fn load_dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        let object = ObjectName::new(*checksum, ObjectType::DirMeta);
        let bytes = self.read_metadata(&object)?;
        DirMeta::decode(&bytes).map_err(Error::invalid(&object))
    }

    /// What is kept beside a commit (signatures), or `None`.
    pub fn read_commit_meta(&self, commit: &Checksum) -> Result<Option<Metadata>> {
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        match self.place().read(&object)? {
            None => Ok(None),
            Some(bytes) => Metadata::decode(&bytes).map(Some).map_err(Error::invalid(&object)),
        }
    }

    /// The bytes that an archive repository serves for this object, whatever this one's mode, as a
    /// stream. Pushing uses it.
    pub fn open_archive_form(&self, object: &ObjectName) -> Result<Box<dyn Read + Send>> {
        let path = object.loose_path(self.mode());
        if object.object_type.is_metadata() || self.mode() == RepoMode::Archive {
            let file = self.objects_dir().try_open_file(path);
            let file = file.map_err(Error::unreadable(object))?;
            return Ok(Box::new(file.ok_or(Error::NoSuchObject(*object))?));
        }
        let FileObject { header, size, reader } = self.open_file(&object.checksum)?;
        let head = Cursor::new(header.encode_archive(size));
        if header.is_symlink() {
            return Ok(Box::new(head));
        }
        let level = flate2::Compression::new(self.config().zlib_level);
        Ok(Box::new(head.chain(flate2::read::DeflateEncoder::new(reader, level))))
    }

    /// Reads an object entirely and compares it with its name.
    ///
    /// Commitmeta and tombstones are not named by their bytes; they are decoded only.
    pub fn verify_object(&self, object: &ObjectName) -> Result<()> {
        if object.object_type.is_metadata() {
            return check_metadata(object, &self.read_metadata(object)?);
        }
        let actual = self.hash_file(object)?;
        if actual == object.checksum {
            Ok(())
        } else {
            Err(Error::Corrupt { object: *object, actual })
        }
    }

    fn hash_file(&self, object: &ObjectName) -> Result<Checksum> {
        let FileObject { header, mut reader, .. } = self.open_file(&object.checksum)?;
        let mut hash = Sha256::new();
        hash.update(header.encode_content());
        let mut buffer = SCRATCH.take().unwrap_or_else(|| PageBuffer::new(BUFFER));
        let hashed = loop {
            match reader.read(&mut buffer) {
                Ok(0) => break Ok(Checksum::finish(hash)),
                Ok(read) => hash.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput
                            | io::ErrorKind::InvalidData
                            | io::ErrorKind::UnexpectedEof
                    ) =>
                {
                    break Err(Error::broken(object, error.to_string()));
                }
                Err(error) => break Err(Error::io(format!("read object {object}"), error)),
            }
        };
        SCRATCH.set(Some(buffer));
        hashed
    }
}

/// Compares the bytes of a metadata object with its name, where the name says something of them.
pub(crate) fn check_hash(object: &ObjectName, bytes: &[u8]) -> Result<()> {
    if matches!(object.object_type, ObjectType::CommitMeta | ObjectType::TombstoneCommit) {
        return Ok(());
    }
    match Checksum::of(bytes) {
        actual if actual == object.checksum => Ok(()),
        actual => Err(Error::Corrupt { object: *object, actual }),
    }
}

/// Checks that bytes with the right hash are also a well-formed object.
pub(crate) fn check_metadata(object: &ObjectName, bytes: &[u8]) -> Result<()> {
    match object.object_type {
        ObjectType::Commit => Commit::decode(bytes).map(drop),
        ObjectType::DirTree => DirTree::decode(bytes).map(drop),
        ObjectType::DirMeta => DirMeta::decode(bytes).map(drop),
        ObjectType::CommitMeta | ObjectType::TombstoneCommit => Metadata::decode(bytes).map(drop),
        ObjectType::File => Ok(()),
    }
    .map_err(Error::invalid(object))
}
