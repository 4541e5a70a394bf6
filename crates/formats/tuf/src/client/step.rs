//! What a state machine asks its driver to do, and the files it begins with.

use std::collections::BTreeMap;

use crate::{Repository, RoleName};

/// The next thing for the driver to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<O> {
    /// Get a file of a repository; then call `received`, or `absent` when the server says that
    /// there is none (404, and nothing else: any other failure ends the run).
    Fetch {
        /// Whose file.
        repository: Repository,
        /// The role it should hold.
        role: RoleName,
        /// Its path below the repository's metadata URL, percent-encoded where needed.
        file_name: String,
        /// Read at most one byte more than this, and hand over what was read.
        max_length: u64,
    },
    /// Store these bytes durably in place of the role's earlier file.
    Persist {
        /// Whose file.
        repository: Repository,
        /// The role.
        role: RoleName,
        /// The file, byte for byte as it came.
        bytes: Vec<u8>,
    },
    /// Remove the role's stored file: its keys were rotated, and so a version that somebody
    /// pushed too high with the old keys must not stay (fast-forward recovery).
    Delete {
        /// Whose file.
        repository: Repository,
        /// The role.
        role: RoleName,
    },
    /// The run is over.
    Done(O),
}

/// The stored metadata files of one repository, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleFiles(BTreeMap<RoleName, Vec<u8>>);

impl RoleFiles {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a role's file.
    pub fn insert(&mut self, role: RoleName, bytes: Vec<u8>) {
        self.0.insert(role, bytes);
    }

    /// Removes a role's file.
    pub fn remove(&mut self, role: &RoleName) {
        self.0.remove(role);
    }

    /// A role's file.
    #[must_use]
    pub fn get(&self, role: &RoleName) -> Option<&[u8]> {
        self.0.get(role).map(Vec::as_slice)
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = (&RoleName, &[u8])> {
        self.0.iter().map(|(role, bytes)| (role, bytes.as_slice()))
    }
}

impl FromIterator<(RoleName, Vec<u8>)> for RoleFiles {
    fn from_iter<I: IntoIterator<Item = (RoleName, Vec<u8>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

/// The stored metadata files of both repositories of Uptane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedMetadata {
    /// The Director's.
    pub director: RoleFiles,
    /// The Image repository's.
    pub image: RoleFiles,
}

impl TrustedMetadata {
    /// The files of one repository.
    #[must_use]
    pub fn files(&self, repository: Repository) -> &RoleFiles {
        match repository {
            Repository::Director => &self.director,
            Repository::Image => &self.image,
        }
    }

    /// The files of one repository, for applying [`Step::Persist`] and [`Step::Delete`].
    pub fn files_mut(&mut self, repository: Repository) -> &mut RoleFiles {
        match repository {
            Repository::Director => &mut self.director,
            Repository::Image => &mut self.image,
        }
    }
}
