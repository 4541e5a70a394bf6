//! The table.

use std::fmt;

/// The repository modes by the names both sides know.
pub(crate) const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// This crate.
    Ours,
    /// The real `ostree`.
    Theirs,
}

/// How the reader reaches the writer's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Local,
}

/// Whether commits are signed with an OpenPGP key and the reader demands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Signed {
    No,
    Gpg,
}

/// In which form the second commit comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Objects,
    Delta,
}

/// One way a commit can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) writer: Side,
    pub(crate) reader: Side,
    /// The mode of the writer's repository.
    pub(crate) from: &'static str,
    /// The mode of the reader's.
    pub(crate) to: &'static str,
    pub(crate) way: Way,
    pub(crate) signed: Signed,
    pub(crate) by: By,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, reader, from, to, way, signed, by } = self;
        write!(f, "{writer:?} {from} -> {reader:?} {to}, {way:?}, signed {signed:?}, {by:?}")
    }
}

impl Cell {
    /// All of them. Over HTTP only an archive is read; from a folder also the reader's own mode.
    pub(crate) fn all() -> Vec<Self> {
        let mut ways = Vec::new();
        for to in MODES {
            ways.push((Way::Http, "archive", to));
            ways.push((Way::Local, "archive", to));
            if to != "archive" {
                ways.push((Way::Local, to, to));
            }
        }
        let mut cells = Vec::new();
        for (way, from, to) in ways {
            for writer in [Side::Ours, Side::Theirs] {
                for reader in [Side::Ours, Side::Theirs] {
                    for signed in [Signed::No, Signed::Gpg] {
                        for by in [By::Objects, By::Delta] {
                            cells.push(Self { writer, reader, from, to, way, signed, by });
                        }
                    }
                }
            }
        }
        cells
    }

    /// Whether the tree must be one that a bare-user-only repository can hold.
    pub(crate) fn is_canonical(&self) -> bool {
        self.from == "bare-user-only" || self.to == "bare-user-only"
    }
}
