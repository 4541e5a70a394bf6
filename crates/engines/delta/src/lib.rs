//! Making and applying deltas between files: matching, patches, compression.
//!
//! Nothing here knows repositories or where deltas lie; bytes come through [`ReadAt`] and go to
//! `Write`. Memory is bounded whatever the sizes of the files, and the same input makes the same
//! output on every machine and with any number of threads.
//!
//! * [`make_patch`], [`apply_patch`]: bsdiff, as static deltas hold it.
//! * [`PatchStreams`], [`apply_streams`]: the same, each kind of number and byte by itself.
//! * [`unpack`], [`repack`]: what is in packed files, so that it can be patched.
//! * [`find_copies`]: pieces of a new file that are in the old one, for files too large to diff.
//! * [`Sketch`], [`Similar`]: which old file a new one resembles, whatever their names.
//! * [`compress`], [`Decompressor`]: the xz container.
//! * [`Budget`]: how much of the machine all of that may use at a time.

mod error;

mod budget;
mod random;

mod chunk;
mod copies;
mod sketch;

mod anchors;
mod bsdiff;
mod grams;
mod patch;
mod sink;

mod apply;
mod streams;
pub mod varint;

mod repack;
mod worker;
mod xz;

pub use apply::apply_patch;
pub use budget::{Budget, Share};
pub use copies::{Piece, find_copies};
pub use error::{Error, Result};
pub use patch::{PatchStats, make_patch, patch_memory};
pub use random::ReadAt;
pub use repack::{MAX_UNPACKED, Unpacked, is_packed, plain_content, repack, repack_memory, unpack};
pub use sink::{Interleaved, PatchSink, PatchStreams};
pub use sketch::{Similar, Sketch};
pub use streams::{PatchReaders, apply_streams};
pub use worker::{can_pack, pack_in_workers_only, work_if_called};
pub use xz::{Decompressor, compress, compress_memory, compress_stream, compress_stream_memory};
