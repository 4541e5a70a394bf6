//! What TUF 1.0.34 and Uptane 2.1.0 demand, each rule by its number; the attacks that they are
//! made against; and clients and repositories in random states.
//!
//! A test whose name begins with `tuf_5_` or `u_` shows the rule of that number. The table in
//! `docs/src/uptane-conformance.md` is made of these names.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod agreements;
mod attacks;
mod common;
mod delegations;
mod manifests;
mod mapping;
mod medium;
mod random;
mod secondaries;
mod signed_time;
mod tuf_client;
mod tuf_steps;
mod uptane_agreement;
mod uptane_client;
mod uptane_metadata;
mod uptane_verification;
