//! The rules of the house that no compiler checks: floors, file sizes, module docs, lints, words.
//!
//! Each rule takes what it looks at as a value and returns its [`Finding`]s; `tests/tidy.rs`
//! collects them from the workspace. A finding names the file and the way out, so that nobody has
//! to read this crate to put something right.

pub mod conformance;
pub mod files;
pub mod floors;
pub mod guide;
pub mod manifests;
pub mod workspace;

pub use workspace::{Finding, SourceFile, Workspace};
