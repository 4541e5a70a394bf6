//! Content that is being taken in.
//!
//! What comes is written to a file without a name. In the data folder that file is given its name
//! at the end. On the way to a bucket the file is what is sent, again if need be: at the end, or
//! where the name is known before, a part whenever there is enough for one, so that the file never
//! grows beyond a part. The store shows nothing of parts before the last request joins them.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use updraft_fs::{Dir, TempFile};

use super::bucket::{Multipart, Piece};
use super::{Contents, Key};
use crate::error::{Error, Result};

const ACTION: &str = "store content";

/// Content that is being taken in; what is not [kept](Self::keep) is gone with this value.
#[derive(Debug)]
pub struct Incoming<'c> {
    contents: &'c Contents,
    file: TempFile,
    /// Bytes in the file.
    length: u64,
    key: Option<Key>,
    parts: Option<Multipart>,
}

impl<'c> Incoming<'c> {
    pub(super) fn begin(contents: &'c Contents, key: Option<&Key>) -> Result<Self> {
        let folder = match contents {
            Contents::Folder(root) => Dir::create_all(root.join("targets"), 0o755),
            Contents::Bucket(bucket) => Dir::create_all(bucket.spool(), 0o700),
        };
        let folder = folder.map_err(Error::fs(ACTION))?;
        let file = TempFile::new_in(&folder).map_err(Error::fs(ACTION))?;
        Ok(Self { contents, file, length: 0, key: key.cloned(), parts: None })
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.file_mut().write_all(bytes).map_err(io("write"))?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        let (Contents::Bucket(bucket), Some(key)) = (self.contents, &self.key) else {
            return Ok(());
        };
        if self.length < bucket.part_bytes() {
            return Ok(());
        }
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(Multipart::begin(bucket, key)?),
        };
        let file = self.file.file().try_clone().map_err(io("open"))?;
        parts.add(&Piece::new(&Arc::new(file), 0, self.length))?;
        self.file.file().set_len(0).map_err(io("truncate"))?;
        self.file.file_mut().seek(SeekFrom::Start(0)).map_err(io("rewind"))?;
        self.length = 0;
        Ok(())
    }

    /// Gives it its name, after whoever took it in has verified it; that of the beginning, if there
    /// was one. What is named by its content is left alone when it is there.
    pub fn keep(self, key: &Key) -> Result<()> {
        match self.contents {
            Contents::Folder(root) => {
                let path = root.join(key.as_str());
                self.file.set_mode(0o644).map_err(Error::fs(ACTION))?;
                self.file.sync().map_err(Error::fs(ACTION))?;
                persist(self.file, &path, key)
            }
            Contents::Bucket(bucket) => {
                let file = Arc::new(self.file.file().try_clone().map_err(io("open"))?);
                let part = bucket.part_bytes();
                let is_news = self.key.is_some() || !key.is_named_by_content;
                if !is_news && bucket.find(key)?.is_some_and(|found| found.length == self.length) {
                    return Ok(());
                }
                let mut parts = match self.parts {
                    // Commit point: the name appears with the whole content.
                    None if self.length <= part => {
                        return bucket.put(key, &Piece::new(&file, 0, self.length));
                    }
                    None => Multipart::begin(bucket, key)?,
                    Some(parts) => parts,
                };
                let mut start = 0;
                while start < self.length {
                    let count = part.min(self.length.saturating_sub(start));
                    parts.add(&Piece::new(&file, start, count))?;
                    start = start.saturating_add(count);
                }
                // Commit point: the name appears with the whole content.
                parts.complete()
            }
        }
    }
}

fn persist(file: TempFile, path: &Path, key: &Key) -> Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let folder = Dir::create_all(folder, 0o755).map_err(Error::fs(ACTION))?;
    // Commit point: the name appears with the whole content.
    if key.is_named_by_content {
        file.persist_new(&folder, name).map(drop)
    } else {
        file.persist_replace(&folder, name)
    }
    .map_err(Error::fs(ACTION))?;
    folder.sync().map_err(Error::fs(ACTION))
}

fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { action, path: "a file that is taken in".into(), source }
}
