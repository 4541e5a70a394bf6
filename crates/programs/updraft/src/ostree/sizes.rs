//! `ostree show --print-sizes`: what a commit says about the sizes of its objects.

use updraft_error::Kind;
use updraft_ostree::{Commit, ObjectSize};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, Terminal};

use super::size::format_size;

#[derive(Default, serde::Serialize)]
struct Sum {
    objects: u64,
    compressed: u64,
    unpacked: u64,
}

impl Sum {
    fn add(&mut self, sized: &ObjectSize) {
        self.objects += 1;
        self.compressed = self.compressed.saturating_add(sized.archived);
        self.unpacked = self.unpacked.saturating_add(sized.unpacked);
    }
}

/// Prints what is recorded, and how much of it this repository still needs.
pub(crate) fn print(repo: &Repo, commit: &Commit, terminal: &Terminal) -> Result {
    let recorded = commit.sizes().map_err(|_| {
        Failure::new(Kind::Invalid, "Could not read ostree.sizes: an element is malformed")
    })?;
    let recorded = recorded.ok_or_else(|| {
        Failure::new(Kind::NotFound, "No metadata key ostree.sizes in commit")
            .hint("commit with --generate-sizes")
    })?;
    let (mut total, mut needed) = (Sum::default(), Sum::default());
    for sized in recorded {
        total.add(&sized);
        if !repo.has_object(&sized.object)? {
            needed.add(&sized);
        }
    }
    if terminal.wants_json() {
        return terminal.json(&serde_json::json!({ "needed": needed, "total": total }));
    }
    let line = |what, needed, total| {
        let (needed, total) = (format_size(needed), format_size(total));
        terminal.line(format!("{what} (needed/total): {needed}/{total}"))
    };
    line("Compressed size", needed.compressed, total.compressed)?;
    line("Unpacked size", needed.unpacked, total.unpacked)?;
    terminal.line(format!("Number of objects (needed/total): {}/{}", needed.objects, total.objects))
}
