//! `updraft` under the name `ostree`, side by side with the real `ostree`: the same command line
//! prints the same, ends with the same code and leaves the same behind.
//!
//! Needs root and Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod changes;
mod collections;
mod composefs;
mod damage;
mod deltas;
mod environment;
mod gnupg;
mod json;
mod kargs;
mod reads;
mod refusals;
mod selinux;
mod signatures;
mod split_xattrs;
mod trees;
mod trivial_httpd;
mod world;
