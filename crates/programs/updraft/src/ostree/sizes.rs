//! `ostree show --print-sizes`: what a commit says about the sizes of its objects.

use updraft_error::Kind;
use updraft_ostree::{Checksum, Commit, ObjectName, ObjectType, read_varuint};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, Terminal};

use super::size::format_size;

/// One element of `ostree.sizes`.
struct Sized {
    object: ObjectName,
    archived: u64,
    unpacked: u64,
}

#[derive(Default, serde::Serialize)]
struct Sum {
    objects: u64,
    compressed: u64,
    unpacked: u64,
}

impl Sum {
    fn add(&mut self, sized: &Sized) {
        self.objects += 1;
        self.compressed = self.compressed.saturating_add(sized.archived);
        self.unpacked = self.unpacked.saturating_add(sized.unpacked);
    }
}

/// Prints what is recorded, and how much of it this repository still needs.
pub(crate) fn print(repo: &Repo, commit: &Commit, terminal: &Terminal) -> Result {
    let recorded = commit.metadata.get("ostree.sizes").and_then(|value| value.as_array());
    let recorded = recorded.ok_or_else(|| {
        Failure::new(Kind::NotFound, "No metadata key ostree.sizes in commit")
            .hint("commit with --generate-sizes")
    })?;
    let (mut total, mut needed) = (Sum::default(), Sum::default());
    for element in recorded {
        let sized = element.as_bytes().and_then(read).ok_or_else(|| {
            Failure::new(Kind::Invalid, "Could not read ostree.sizes: an element is malformed")
        })?;
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

fn read(element: &[u8]) -> Option<Sized> {
    let (checksum, rest) = element.split_at_checked(Checksum::LEN)?;
    let (archived, used) = read_varuint(rest).ok()?;
    let rest = rest.get(used..)?;
    let (unpacked, used) = read_varuint(rest).ok()?;
    let object_type = match rest.get(used..)? {
        [] => ObjectType::File,
        [number, ..] => ObjectType::ALL.into_iter().find(|of| of.number() == *number)?,
    };
    let object = ObjectName::new(Checksum::from_slice(checksum).ok()?, object_type);
    Some(Sized { object, archived, unpacked })
}
