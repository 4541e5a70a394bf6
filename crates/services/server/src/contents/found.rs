//! Content that is there.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::bucket::{Bucket, Reading};
use super::section::Section;
use crate::error::{Error, Result};

/// Content that is there, and can be read from anywhere in it.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many bytes it has.
    pub length: u64,
    /// Its entity tag, with the quotation marks: as long as it is the same, so is the content.
    pub tag: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    File(Arc<File>),
    Object(Arc<Bucket>, String),
}

impl Found {
    pub(super) fn in_folder(path: &Path) -> Result<Option<Self>> {
        let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Ok(None);
        }
        let length = about.len();
        // Files are replaced, never changed in place, so this names one content.
        let (inode, seconds, nanoseconds) = (about.ino(), about.mtime(), about.mtime_nsec());
        let tag = format!("\"{inode:x}-{seconds:x}-{nanoseconds:x}-{length:x}\"");
        Ok(Some(Self { length, tag, source: Source::File(Arc::new(file)) }))
    }

    pub(super) fn in_bucket(bucket: &Arc<Bucket>, name: String, length: u64, tag: String) -> Self {
        Self { length, tag, source: Source::Object(Arc::clone(bucket), name) }
    }

    /// The same part as a part of a file, where it is in one.
    pub fn section(&self, start: u64, count: u64) -> Option<Section> {
        match &self.source {
            Source::File(file) => Some(Section::new(file, start, count)),
            Source::Object(..) => None,
        }
    }

    /// Reads `count` bytes from `start` on; both lie within the length.
    pub fn read(&self, start: u64, count: u64) -> Result<Box<dyn Read + Send>> {
        Ok(match &self.source {
            Source::File(file) => Box::new(Section::new(file, start, count)),
            Source::Object(bucket, name) => {
                let (name, tag) = (name.clone(), self.tag.clone());
                let whole = start == 0 && count == self.length;
                Box::new(Reading::open(Arc::clone(bucket), (name, tag), (start, count), whole)?)
            }
        })
    }
}

/// Why reading content failed: what the store said, if it was a store.
pub fn read_error(error: io::Error) -> Error {
    let action = "read";
    error.downcast::<Error>().unwrap_or_else(|source| Error::Io {
        action,
        path: "content".into(),
        source,
    })
}
