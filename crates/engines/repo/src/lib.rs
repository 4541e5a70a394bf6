//! An OSTree repository: objects, refs, commit, checkout, pull and care.
//!
//! [`Repo`] reads; a [`Transaction`] writes. What a transaction stores lies in a staging folder
//! until [`Transaction::commit`] has made it durable and moved it among the objects; refs are
//! written after that. So at any moment, whatever power does, a ref names only complete objects.
//!
//! The layout on disk is libostree's in every detail, and both may work on one repository at the
//! same time: locks, staging folders and file forms are shared with it.
//!
//! * [`commit`]: folders, tar streams and other commits become one commit.
//! * [`checkout`]: a commit becomes files, hard-linked where possible.
//! * [`composefs`]: a commit becomes an image that the kernel verifies.
//! * [`traverse`]: what a commit consists of; what differs between two.
//! * [`pull`], [`push`]: objects come from and go to other repositories.
//! * [`delta`]: what leads from one commit to another, in few files.
//! * [`sign`]: signatures of commits and summaries.
//! * [`fsck`], [`prune`], [`summary`]: care.

mod collections;
mod config;
mod cookies;
mod error;
mod remote;
mod repo;

mod listing;
mod object;
mod parents;
mod refs;
mod rev;
mod state;

mod adopt;
mod codec;
mod import;
mod link;
mod ostreemeta;
mod room;
mod sink;
mod split_xattrs;
mod staging;
mod store;
mod tmp;
mod transaction;
mod verity;

pub mod checkout;
pub mod commit;
pub mod composefs;
pub mod selinux;
pub mod traverse;

pub mod delta;
pub mod fsck;
pub mod prune;
pub mod pull;
pub mod push;
pub mod sign;
pub mod summary;
pub mod usb;

pub use config::{Config, MAX_BOOT_TRIES, Wanted};
pub use error::{Error, Result};
pub use import::{Imported, verify_archive_object};
pub use link::Trust;
pub use object::{FileObject, FileReader};
pub use remote::Remote;
pub use repo::{InitOptions, Repo};
pub use state::CommitState;
pub use store::Stored;
pub use transaction::{Transaction, TransactionStats};
