//! Static deltas of a repository: made, listed, applied.
//!
//! A delta is a folder below `deltas/` with a superblock and parts, or a file with its parts
//! beside it or inside of it. Each part is a program that makes the objects of one commit out of
//! those of another; see [`updraft_ostree::delta`]. Deltas of our own format lie below
//! `updraft-deltas/`; only their parts differ.
//!
//! What a delta makes is hashed like everything that comes from elsewhere: an object gets its name
//! when its bytes were right, and a commit is complete when its whole tree was found.

mod apply;
mod execute;
mod execute_streams;
mod index;
mod maker;
mod part;
mod spill;
pub(crate) mod store;
mod stream_part;
mod stream_writer;
mod tables;
mod writer;

mod generate;

pub use apply::{ApplyOptions, ApplyStats, Verify, apply_offline};
pub use generate::{GenerateOptions, Generated, Sign, Target, generate};
pub use index::{list_indexes, reindex};
pub use part::PartStats;
pub use store::{Delta, Location, delete, exists, list};
pub use updraft_delta::{pack_in_workers_only, work_if_called};

pub(crate) use apply::{MAX_JOBS, execute_parts};
pub(crate) use index::listing;
pub(crate) use part::{NoPart, Part};
