//! The part of GVariant that OSTree uses: framing, types and dynamic values.
//!
//! A serialised container is its children, each aligned to its type's alignment, followed by
//! framing offsets: the end of each child whose size is not fixed. A tuple stores them in reverse
//! order and leaves out the last child; an array stores one for each element, in order. Offsets
//! are little-endian, and 1, 2, 4 or 8 bytes wide, whatever the whole container needs:
//!
//! ```text
//! tuple  | child 0 | pad | child 1 | … | end of child 1 | end of child 0 |
//! array  | element 0 | pad | element 1 | … | end 0 | end 1 | …           |
//! variant| child | 0 | type string |
//! ```
//!
//! Reference: the GVariant specification by A. Ryan Lortie, version 1.0.

mod frame;
mod text;
mod types;
mod value;

pub(crate) use frame::{Member, build_array, build_tuple, split_array, split_tuple};
pub(crate) use frame::{push_array, push_offsets};
pub use text::Untyped;
pub use types::Type;
pub use value::Value;
pub(crate) use value::{decode_str, encode_str};

/// The deepest nesting of values; deeper ones are refused (GLib's own limit is 128).
pub const MAX_DEPTH: usize = 64;
