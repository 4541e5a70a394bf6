//! Static deltas: all that leads from one commit to another, in few files.
//!
//! ```text
//! deltas/AB/REST/superblock   (a{sv}tayay(COMMIT)aya(uayttay)a(yaytt))   [`Superblock`]
//! deltas/AB/REST/0, 1, …      compression byte, (a(uuu)aa(ayay)ayay)     [`PartLayout`], [`PartTables`]
//! delta-indexes/AB/REST.index a{sv}                                      [`DeltaIndex`]
//! a signed delta, by itself   (taya{sv})                                 [`SignedDelta`]
//! updraft-deltas/AB/REST/…    the same superblock, parts of our own      [`Recipe`]
//! ```
//!
//! A part holds two tables, a payload and a program. The program, a list of [`Operation`]s, makes
//! the objects that the superblock lists for the part, in their order, out of the payload and of
//! objects that the receiver has. Everything here is read from strangers: every number is checked
//! against what it counts before it is used.

mod index;
mod name;
mod operation;
mod part;
mod patch;
mod recipe;
mod signed;
mod superblock;

pub use index::DeltaIndex;
pub use name::{DeltaFormat, DeltaName};
pub use operation::{Operation, Operations};
pub use part::{PartCompression, PartLayout, PartTables, encode_part_frame, part_tail};
pub use patch::{CONTROL_LEN, Control};
pub use recipe::{Recipe, Recipes, Source, StreamHeader, StreamKind, encode_head};
pub use signed::SignedDelta;
pub use superblock::{Endianness, Fallback, PartHeader, Superblock};
