//! A commit's tree as a composefs image.
//!
//! The image has everything of the tree but the bytes of its files: these are the objects of a
//! bare repository, which an overlay puts below the mounted image. Files without bytes are whole
//! in it. The directories that a system needs to boot (`usr`, `etc`, `boot`, `var`, `sysroot`) are
//! added when the tree has none.
//!
//! The fs-verity digest of an image with the digests of all files stands for the whole tree; a
//! commit can carry it in [`DIGEST`], and whoever makes the image compares.

use std::collections::HashMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use updraft_composefs::{
    Attributes, Directory, File, Node, Symlink, VerityDigest, VerityHasher, write_image,
};
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile, verity};
use updraft_ostree::{Checksum, DirEntry, DirMeta, ObjectName, ObjectType, RepoMode, Xattrs};
use updraft_task::Context;

use crate::traverse::{LoadTree, MAX_DEPTH, root};
use crate::verity::Sealing;
use crate::{Error, FileObject, FileReader, Repo, Result, Transaction};

/// The key of a commit's metadata with the digest of its image: `ay`, 32 bytes.
pub const DIGEST: &str = "ostree.composefs.digest.v0";

/// What a system mounts things on.
const ROOT_DIRECTORIES: [&[u8]; 5] = [b"usr", b"etc", b"boot", b"var", b"sysroot"];
/// The mode of the file of an image.
const IMAGE_MODE: u32 = 0o644;
const BUFFER: usize = 64 << 10;

/// Which files' digests an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digests {
    /// None: the kernel believes the repository.
    None,
    /// Those that the kernel vouches for already.
    Sealed,
    /// All. The digest of the image is compared with that of the commit, if it has one.
    All,
}

/// Writes the image of a commit to `dest`, replacing what is there. Returns its digest.
pub fn checkout(
    ctx: &Context,
    repo: &Repo,
    commit: &Checksum,
    dest: impl AsRef<Path>,
    digests: Digests,
) -> Result<VerityDigest> {
    let dest = dest.as_ref();
    let (loaded, _) = repo.load_commit(commit)?;
    let parent = dest.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = dest.file_name().ok_or_else(|| {
        Error::other(Kind::Invalid, format!("write {}: it is no name of a file", dest.display()))
    })?;
    let parent = Dir::open(parent.unwrap_or(Path::new(".")))?;
    let tree = tree(ctx, repo, root(&loaded), digests)?;
    let mut output = Hashed { output: TempFile::new_in(&parent)?, hasher: VerityHasher::new() };
    write(tree, &mut output)?;
    let Hashed { mut output, hasher } = output;
    let digest = hasher.finish();
    if digests == Digests::All
        && let Some(expected) = loaded.metadata.get(DIGEST)
        && expected.as_bytes() != Some(digest.as_bytes())
    {
        let expected = expected.as_bytes().map(hex::encode).unwrap_or_default();
        let message = format!(
            "Generated composefs image digest ({digest}) doesn't match expected digest ({expected})"
        );
        return Err(Error::other(Kind::Rejected, message));
    }
    let config = repo.config();
    Sealing::new(config.fsverity).seal(&mut output)?;
    output.set_mode(IMAGE_MODE)?;
    if config.fsync {
        output.sync()?;
    }
    // Commit point: this rename.
    output.persist_replace(&parent, name)?;
    if config.fsync {
        parent.sync()?;
    }
    Ok(digest)
}

/// The digest of the image of a tree, which is not written anywhere.
pub(crate) fn digest(
    ctx: &Context,
    transaction: &Transaction,
    root: DirEntry,
) -> Result<VerityDigest> {
    let tree = tree(ctx, transaction, root, Digests::All)?;
    let mut output = Hashed { output: io::sink(), hasher: VerityHasher::new() };
    write(tree, &mut output)?;
    Ok(output.hasher.finish())
}

fn write(tree: Directory, output: &mut impl Write) -> Result<()> {
    let mut output = BufWriter::with_capacity(BUFFER, output);
    write_image(tree, &mut output)?;
    output.flush().map_err(|error| Error::io("write a composefs image", error))
}

/// Passes on what is written, and hashes it.
struct Hashed<W> {
    output: W,
    hasher: VerityHasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.output.write(data)?;
        self.hasher.update(&data[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Where objects are read from: a repository, or a transaction that has stored more.
trait Objects: LoadTree {
    fn dirmeta(&self, checksum: &Checksum) -> Result<DirMeta>;
    fn file(&self, checksum: &Checksum) -> Result<FileObject>;
}

impl Objects for Repo {
    fn dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        self.load_dirmeta(checksum)
    }

    fn file(&self, checksum: &Checksum) -> Result<FileObject> {
        self.open_file(checksum)
    }
}

impl Objects for Transaction {
    fn dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        self.load_dirmeta(checksum)
    }

    fn file(&self, checksum: &Checksum) -> Result<FileObject> {
        self.open_file(checksum)
    }
}

/// A tree as it is in an image.
fn tree(
    ctx: &Context,
    objects: &impl Objects,
    root: DirEntry,
    digests: Digests,
) -> Result<Directory> {
    let mut builder =
        Builder { ctx, objects, digests, seen: HashMap::new(), dirmetas: HashMap::new() };
    let mut tree = builder.directory(root, 0)?;
    for name in ROOT_DIRECTORIES {
        let attributes = Attributes { permissions: 0o755, ..Attributes::default() };
        let empty = Directory { attributes, ..Directory::default() };
        tree.entries.entry(name.to_vec()).or_insert(Node::Directory(empty));
    }
    Ok(tree)
}

struct Builder<'a, O> {
    ctx: &'a Context,
    objects: &'a O,
    digests: Digests,
    /// Digests of files that were read: what is in the tree more than once is read once.
    seen: HashMap<Checksum, VerityDigest>,
    /// Few directories have an owner, a mode or attributes of their own.
    dirmetas: HashMap<Checksum, Attributes>,
}

impl<O: Objects> Builder<'_, O> {
    fn directory(&mut self, entry: DirEntry, depth: usize) -> Result<Directory> {
        self.ctx.check()?;
        if depth > MAX_DEPTH {
            let message = "write a composefs image: the tree is nested too deeply";
            return Err(Error::other(Kind::Invalid, message));
        }
        let attributes = self.directory_attributes(&entry.dirmeta)?;
        let mut directory = Directory { attributes, ..Directory::default() };
        let tree = self.objects.load_dirtree(&entry.dirtree)?;
        for (name, checksum) in &tree.files {
            let node = self.file(checksum)?;
            directory.entries.insert(name.as_str().as_bytes().to_vec(), node);
        }
        for (name, entry) in &tree.dirs {
            let below = Node::Directory(self.directory(*entry, depth + 1)?);
            directory.entries.insert(name.as_str().as_bytes().to_vec(), below);
        }
        Ok(directory)
    }

    fn directory_attributes(&mut self, checksum: &Checksum) -> Result<Attributes> {
        if let Some(known) = self.dirmetas.get(checksum) {
            return Ok(known.clone());
        }
        let DirMeta { uid, gid, mode, xattrs } = self.objects.dirmeta(checksum)?;
        let attributes = attributes((uid, gid, mode), &xattrs);
        self.dirmetas.insert(*checksum, attributes.clone());
        Ok(attributes)
    }

    fn file(&mut self, checksum: &Checksum) -> Result<Node> {
        self.ctx.check()?;
        let FileObject { header, size, reader } = self.objects.file(checksum)?;
        let attributes = attributes((header.uid, header.gid, header.mode), &header.xattrs);
        let object = ObjectName::new(*checksum, ObjectType::File);
        Ok(match &header.symlink_target {
            Some(target) => {
                Node::Symlink(Symlink { attributes, target: target.as_bytes().to_vec() })
            }
            None if size == 0 => Node::File(File { attributes, ..File::default() }),
            None => Node::File(File {
                attributes,
                size,
                backing_path: object.loose_path(RepoMode::Bare).into_bytes(),
                digest: self.digest(&object, reader)?,
            }),
        })
    }

    fn digest(&mut self, object: &ObjectName, reader: FileReader) -> Result<Option<VerityDigest>> {
        if self.digests == Digests::None {
            return Ok(None);
        }
        let sealed = reader.file().and_then(verity::measure).map(VerityDigest::from_bytes);
        if sealed.is_some() || self.digests == Digests::Sealed {
            return Ok(sealed);
        }
        if let Some(known) = self.seen.get(&object.checksum) {
            return Ok(Some(*known));
        }
        let digest =
            read(reader).map_err(|error| Error::io(format!("read object {object}"), error))?;
        self.seen.insert(object.checksum, digest);
        Ok(Some(digest))
    }
}

fn read(mut reader: FileReader) -> io::Result<VerityDigest> {
    let mut hasher = VerityHasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn attributes((uid, gid, mode): (u32, u32, u32), xattrs: &Xattrs) -> Attributes {
    let xattrs = xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    Attributes { uid, gid, permissions: mode & 0o7777, xattrs }
}
