//! Where content lies: target files, artifacts, and objects of the OSTree repository. Either in the
//! data folder, or in a bucket of an S3-compatible store that any number of servers share.
//!
//! ```text
//! targets/SHA256                 target files and artifacts, whatever they are called
//! treehub/objects/XX/….filez     objects of the OSTree repository, as in an archive
//! treehub/deltas/…               its static deltas
//! ```
//! Nothing appears under its name before all of it is there. What is named by its content is never
//! changed, so it does not matter which server stores it, or how often.

mod access_key;
mod bucket;
mod found;
mod incoming;
mod section;

use std::path::PathBuf;
use std::sync::Arc;

pub use access_key::AccessKey;
pub use bucket::{Bucket, BucketError, BucketTrouble};
pub use found::{Found, read_error};
pub use incoming::Incoming;
pub use section::Section;

use crate::config::StorageConfig;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::layout::Layout;

/// What content is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    name: String,
    is_named_by_content: bool,
}

impl Key {
    /// A target file or artifact, by its SHA-256 in lower hex.
    pub fn target(sha256: &str) -> Self {
        Self { name: format!("targets/{sha256}"), is_named_by_content: true }
    }

    /// A file of the OSTree repository; the path is one that the repository's layout allows.
    pub fn treehub(path: &str) -> Self {
        Self { name: format!("treehub/{path}"), is_named_by_content: false }
    }

    /// The path in the data folder, and the name in the bucket after its prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Where content lies.
#[derive(Debug)]
pub enum Contents {
    /// In the data folder.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(Arc<Bucket>),
}

impl Contents {
    /// What the configuration says; nothing is asked of a bucket yet.
    pub fn open(
        layout: &Layout,
        config: &StorageConfig,
        limit: u64,
        environment: &Environment,
    ) -> Result<Self> {
        match Bucket::open(layout, config, limit, environment)? {
            Some(bucket) => Ok(Self::Bucket(Arc::new(bucket))),
            None => Ok(Self::Folder(layout.root().to_owned())),
        }
    }

    /// Whether it is in a bucket. What is small and changes is in the database then.
    pub fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// Finds content, without reading it.
    pub fn find(&self, key: &Key) -> Result<Option<Found>> {
        match self {
            Self::Folder(root) => Found::in_folder(&root.join(key.as_str())),
            Self::Bucket(bucket) => bucket.find(key),
        }
    }

    /// Begins to take content in. When it is known what it will be called, it need not be kept here
    /// until all of it has come.
    pub fn receive(&self, key: Option<&Key>) -> Result<Incoming<'_>> {
        Incoming::begin(self, key)
    }

    /// Where a device may get it instead of here.
    pub fn link(&self, key: &Key) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::Bucket(bucket) => bucket.link(key),
        }
    }

    /// Whether it can be read now.
    pub fn check_reachable(&self) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(bucket) => bucket.check_reachable(),
        }
    }

    /// Whether it can be read and written: stores something, and takes it away again.
    pub fn check_writable(&self, environment: &Environment) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(bucket) => {
                let new = environment.uuid().map_err(Error::random)?;
                bucket.check_writable(new.to_string().as_bytes())
            }
        }
    }
}
