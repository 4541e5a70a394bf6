//! The same work done by this crate and by the real `ostree`, and each on the other's results.
//!
//! Needs root and Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod ours;
mod peer;
mod snapshot;
mod tree;

mod checkouts;
mod commits;
mod damage;
mod exchange;
mod options;
mod places;
mod tars;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The repository modes by the names both sides know.
const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

/// Fails with the lines that only one side has.
#[track_caller]
fn assert_same(mine: &str, theirs: &str, what: &str) {
    if mine == theirs {
        return;
    }
    let only = |lines: &str, others: &str| -> Vec<String> {
        let others: HashSet<&str> = others.lines().collect();
        let lines = lines.lines().filter(|line| !others.contains(line));
        lines.map(|line| line.chars().take(300).collect()).take(20).collect()
    };
    let (mine, theirs) = (only(mine, theirs), only(theirs, mine));
    panic!("{what}: only ours: {mine:#?}, only theirs: {theirs:#?} (or another order)");
}

/// A folder with a tree and room for repositories; removed at the end.
struct World {
    folder: TempDir,
}

impl World {
    /// An empty one.
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// One that holds [`tree::nasty`] at `tree`.
    fn nasty() -> Self {
        let world = Self::new();
        tree::nasty(&world.path("tree"));
        world
    }

    /// As [`nasty`](Self::nasty), with a large file as well.
    fn nasty_and_large() -> Self {
        let world = Self::nasty();
        tree::large(&world.path("tree"));
        world
    }

    /// One that holds [`tree::small`] at `tree`.
    fn small() -> Self {
        let world = Self::new();
        tree::small(&world.path("tree"));
        world
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}
