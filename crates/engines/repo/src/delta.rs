//! Static deltas of a repository: made, listed, applied.
//!
//! A delta is a folder below `deltas/` with a superblock and parts, or a file with its parts
//! beside it or inside of it. Each part is a program that makes the objects of one commit out of
//! those of another; see [`updraft_ostree::delta`].
//!
//! What a delta makes is hashed like everything that comes from elsewhere: an object gets its name
//! when its bytes were right, and a commit is complete when its whole tree was found.

mod apply;
mod execute;
mod index;
mod part;
mod spill;
pub(crate) mod store;
mod writer;

mod generate;

pub use apply::{ApplyOptions, ApplyStats, Verify, apply_offline};
pub use generate::{GenerateOptions, Generated, Sign, Target, generate};
pub use index::{list_indexes, reindex};
pub use part::PartStats;
pub use store::{Delta, Location, delete, exists, list};

pub(crate) use apply::{MAX_JOBS, execute_parts};
pub(crate) use execute::{Executed, execute};
pub(crate) use index::listing;
pub(crate) use part::{NoPart, OpenPart, read_part};
