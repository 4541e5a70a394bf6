//! The agent for programs in C: the functions of aktualizr's C library under their names, so that
//! programs can be linked anew, and a few of our own.
//!
//! The rules are those of any C library, and all that is unsafe here relies on them:
//! - A pointer is null, or it came from this library, is of the type that the function names, and was
//!   not freed. Null is refused with an error, never followed.
//! - Text is null-terminated, and stays as it is during the call.
//! - An agent may be used by several threads at a time; all else by one.
//! - What a function returns belongs to the caller, who frees it with the function of its type,
//!   before the agent is destroyed. A target belongs to its list of updates.
//!
//! Functions that return `int` return 0, or -1 after a failure, which [`error::updraft_last_error`]
//! explains. A panic ends in such an error as well.

#![allow(unsafe_code, reason = "C has no other way; each place says why it is sound")]
#![allow(clippy::missing_safety_doc, reason = "the crate's documentation has the one contract")]
#![allow(non_snake_case, reason = "the names are aktualizr's")]
#![allow(clippy::disallowed_methods, reason = "here the program around the agent begins")]

pub mod agent;
pub mod campaigns;
pub mod config;
pub mod error;
mod pointers;
pub mod secondaries;
pub mod stored;
pub mod updates;
