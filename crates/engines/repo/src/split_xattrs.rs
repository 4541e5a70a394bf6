//! What a bare-split-xattrs repository keeps beside its files: their xattrs.
//!
//! ```text
//! objects/XX/REST.file              the file with its owner and mode, or the symbolic link
//! objects/XX/REST.file-xattrs-link  its xattrs, a(ayay): a hard link to one of
//! objects/YY/REST.file-xattrs       xattrs, named by the SHA-256 of these bytes
//! ```
//!
//! Every file has the second, also when it has no xattrs. It may be a file of its own, when the
//! third has as many links as the file system allows; only its bytes count.
//!
//! libostree reads such repositories, which come from container images, and writes them only when
//! an environment variable asks for it. What its releases write then cannot be read, by itself or
//! by us: the files' xattrs are missing. We write what it reads, under the same condition.

use std::io::Write;

use updraft_error::Kind;
use updraft_fs::{FileKind, TempFile};
use updraft_ostree::{Checksum, FileHeader, MAX_HEADER_SIZE, ObjectName, RepoMode, Xattrs};

use crate::object::Place;
use crate::sink::OBJECT_MODE;
use crate::{Error, Repo, Result, Transaction};

const BLOB: &str = "file-xattrs";
const LINK: &str = "file-xattrs-link";

/// Where the xattrs of a file are, when the mode keeps them there.
pub(crate) fn link_of(object: &ObjectName, mode: RepoMode) -> Option<String> {
    let is_split = mode == RepoMode::BareSplitXattrs && !object.object_type.is_metadata();
    is_split.then(|| path(&object.checksum, LINK))
}

fn path(checksum: &Checksum, suffix: &str) -> String {
    let hex = checksum.to_hex();
    format!("{}/{}.{suffix}", &hex[..2], &hex[2..])
}

/// The xattrs of a file.
pub(crate) fn read(place: &Place<'_>, object: &ObjectName) -> Result<Xattrs> {
    let bytes = place.dir.try_read(path(&object.checksum, LINK), MAX_HEADER_SIZE as u64)?;
    let bytes = bytes.ok_or_else(|| Error::broken(object, "it has no file-xattrs-link"))?;
    Xattrs::decode(&bytes).map_err(Error::invalid(object))
}

/// Stores the xattrs of a file that is about to get its name: no file is ever without.
pub(crate) fn store(
    transaction: &Transaction,
    header: &FileHeader,
    checksum: &Checksum,
) -> Result<()> {
    let bytes = header.xattrs.encode();
    let blob = path(&Checksum::of(&bytes), BLOB);
    let link = path(checksum, LINK);
    let staging = &transaction.staging;
    staging.make_room(&blob)?;
    staging.make_room(&link)?;
    let objects = transaction.repo().objects_dir();
    let source = if objects.exists(&blob)? { objects } else { &staging.dir };
    if !source.exists(&blob)? {
        write(transaction, &bytes, &blob)?;
    }
    match staging.dir.link(source, &blob, &link) {
        Ok(()) => Ok(()),
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) if error.io_kind() == std::io::ErrorKind::TooManyLinks => {
            write(transaction, &bytes, &link)
        }
        Err(error) => Err(error.into()),
    }
}

fn write(transaction: &Transaction, bytes: &[u8], path: &str) -> Result<()> {
    let mut file = TempFile::new_in(&transaction.staging.dir)?;
    file.write_all(bytes).map_err(|error| Error::io("write an object", error))?;
    transaction.sealing.seal(&mut file)?;
    file.set_mode(OBJECT_MODE)?;
    if transaction.config.fsync && transaction.config.per_object_fsync {
        file.sync()?;
    }
    // Another worker may have been faster, with the same bytes.
    file.persist_new(&transaction.staging.dir, path)?;
    Ok(())
}

/// Removes the xattrs that no file refers to any more.
pub(crate) fn remove_unused(repo: &Repo) -> Result<()> {
    if repo.mode() != RepoMode::BareSplitXattrs {
        return Ok(());
    }
    for entry in repo.objects_dir().entries()? {
        if entry.kind != FileKind::Directory {
            continue;
        }
        let dir = repo.objects_dir().open_dir(&entry.name)?;
        for entry in dir.entries()? {
            let is_blob = entry.name.to_str().and_then(|name| name.strip_suffix(BLOB)).is_some();
            if is_blob && dir.metadata(&entry.name)?.links == 1 {
                dir.try_unlink(&entry.name)?;
            }
        }
    }
    Ok(())
}

/// Refuses to write files into such a repository, unless that is permitted.
pub(crate) fn check_writable(repo: &Repo) -> Result<()> {
    if repo.mode() == RepoMode::BareSplitXattrs && !repo.may_write_split_xattrs() {
        let message = "Writing content object: Not allowed due to repo mode";
        return Err(Error::other(Kind::Unsupported, message));
    }
    Ok(())
}
