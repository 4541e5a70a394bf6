//! Whole starts of recovery: scripts and bundles, power cuts, and what people find afterwards.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod bundles;
mod files;
mod liblp;
mod life;
mod logical;
mod logical_refusals;
mod patches;
mod refusals;
mod sources;
mod unhashed;
mod world;
