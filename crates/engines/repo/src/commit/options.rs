//! What is committed, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Mutex;

use updraft_ostree::{Checksum, Metadata, Refspec};

use super::PathnameFilter;
use crate::TransactionStats;
use crate::selinux::Policy;
use crate::sign::Signer;

/// Where a tree comes from.
pub enum TreeSource {
    /// A folder.
    Directory(PathBuf),
    /// A tar stream (ustar, pax, GNU or v7) or cpio stream (new ASCII format), as it is or
    /// compressed by gzip, xz, zstd or bzip2. It is read once.
    Tar(Mutex<Box<dyn Read + Send>>),
    /// The tree of a commit in this repository.
    Commit(Checksum),
}

impl TreeSource {
    /// A tar stream.
    pub fn tar(reader: impl Read + Send + 'static) -> Self {
        Self::Tar(Mutex::new(Box::new(reader)))
    }
}

impl std::fmt::Debug for TreeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Tar(_) => f.write_str("Tar"),
            Self::Commit(commit) => f.debug_tuple("Commit").field(commit).finish(),
        }
    }
}

/// The commit before the new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parent {
    /// What the branch names, if it exists.
    #[default]
    Branch,
    /// There is none.
    None,
    /// This one.
    Commit(Checksum),
}

/// Which refs the commit says may name it (`ostree.ref-binding`), and its collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bindings {
    /// Nothing is said.
    None,
    /// The branch and these.
    BranchAnd(Vec<String>),
}

impl Default for Bindings {
    fn default() -> Self {
        Self::BranchAnd(Vec::new())
    }
}

/// What happens to the mode of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeChange {
    /// These bits are added.
    Add(u32),
    /// These are the permissions.
    Set(u32),
}

/// How a commit is made.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct CommitOptions {
    /// The ref that is moved to the new commit.
    pub branch: Option<Refspec>,
    /// The commit before it.
    pub parent: Parent,
    /// One line for people.
    pub subject: String,
    /// More lines for people.
    pub body: String,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Metadata of the commit.
    pub metadata: Metadata,
    /// Metadata kept beside the commit.
    pub detached_metadata: Metadata,
    /// Which refs may name it.
    pub bindings: Bindings,
    /// Metadata says that the tree has a kernel, and its release.
    pub bootable: bool,
    /// A tree to begin with, which the filters below leave alone.
    pub base: Option<Checksum>,
    /// Everything belongs to this user.
    pub owner_uid: Option<u32>,
    /// Everything belongs to this group.
    pub owner_gid: Option<u32>,
    /// Owner 0, modes within 0755, no xattrs. Always so in a bare-user-only repository.
    pub canonical_permissions: bool,
    /// Nobody may write to executables.
    pub mode_ro_executables: bool,
    /// Extended attributes are left out.
    pub no_xattrs: bool,
    /// Labels that everything gets.
    pub selinux_policy: Option<Policy>,
    /// Changes of modes by path (from `/`). Each that adds bits must match.
    pub statoverride: BTreeMap<String, ModeChange>,
    /// Paths (from `/`) that are left out. Each must match.
    pub skip_list: BTreeSet<String>,
    /// Files that are hard links into the repository are taken for the objects they are.
    pub link_checkout_speedup: bool,
    /// The same, also where the options would change such files: they stay the objects they are.
    pub devino_canonical: bool,
    /// Whether files of folders may become objects as they are, without being copied. The caller
    /// gives them away: changing one later would change the object.
    pub adopt: bool,
    /// Directories that a tar stream does not mention are made: 0755, owner 0.
    pub tar_autocreate_parents: bool,
    /// Changes the names in tar streams.
    pub tar_pathname_filter: Option<PathnameFilter>,
    /// No commit is made when the tree is that of the parent.
    pub skip_if_unchanged: bool,
    /// The sizes of all objects are recorded in the commit (archive repositories only).
    pub generate_sizes: bool,
    /// The digest of the tree's composefs image is recorded in the commit.
    pub generate_composefs: bool,
    /// Who signs the commit before the branch moves to it.
    pub signers: Vec<Signer>,
    /// Whether to make everything durable; `None` is as the repository says.
    pub fsync: Option<bool>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The new commit, or the parent when nothing changed.
    pub checksum: Checksum,
    /// The commit before it.
    pub parent: Option<Checksum>,
    /// Whether a commit was made.
    pub changed: bool,
    /// What was written.
    pub stats: TransactionStats,
}
