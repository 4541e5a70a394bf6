//! Which old file each new one is like: by path, by name, by what is in it.

use std::collections::{BTreeMap, HashMap, HashSet};

use updraft_delta::{Similar, Sketch};
use updraft_ostree::Checksum;
use updraft_task::Context;

use super::plan::{Candidate, Tree};
use super::{LOOKAHEAD, ordered};
use crate::{FileObject, Repo, Result};

/// Smaller files are not worth a patch.
const MIN_SIZE: u64 = 128;
/// Files of the same name that differ by more than this factor are looked at like strangers.
const MAX_RATIO: u64 = 8;
/// What is larger is not read through to find out what it is like.
const MAX_SKETCHED: u64 = 1 << 30;
/// Names of packed files, whose bytes say nothing about what is in them.
const PACKED: [&str; 16] = [
    "xz", "bz2", "gz", "zst", "lz4", "lzma", "lzo", "zip", "jar", "png", "jpg", "jpeg", "webp",
    "woff2", "mo.gz", "squashfs",
];

/// A file of the target that the source does not have.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    pub(super) path: &'a str,
    pub(super) checksum: Checksum,
    pub(super) size: u64,
    pub(super) is_link: bool,
}

/// The old file for each of the new ones.
pub(super) fn find(
    ctx: &Context,
    repo: &Repo,
    old: &Tree,
    new: &[NewFile<'_>],
) -> Result<Vec<Option<Candidate>>> {
    let names = Names::new(old);
    let mut found = Vec::with_capacity(new.len());
    let mut strangers = Vec::new();
    for (index, file) in new.iter().enumerate() {
        ctx.check()?;
        let wanted = !file.is_link && file.size >= MIN_SIZE;
        let named = if wanted { names.find(repo, old, file)? } else { None };
        if wanted && named.is_none() && file.size <= MAX_SKETCHED {
            strangers.push(index);
        }
        found.push(named);
    }
    if !strangers.is_empty() && !old.files.is_empty() {
        by_content(ctx, repo, old, new, &strangers, &mut found)?;
    }
    let candidates = found.into_iter().zip(new).map(|(old, file)| {
        old.map(|checksum| Candidate { checksum, packed: is_packed(file.path) })
    });
    Ok(candidates.collect())
}

fn is_packed(path: &str) -> bool {
    let name = base_name(path);
    PACKED.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The text with each number in it replaced by `#`: what stays when a version changes.
fn reduced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

/// Old files by their names.
struct Names<'a> {
    /// By path without numbers.
    by_version: HashMap<String, Vec<&'a Checksum>>,
    /// By name.
    same: HashMap<&'a str, Vec<&'a Checksum>>,
    /// By name without numbers.
    other_version: HashMap<String, Vec<&'a Checksum>>,
}

impl<'a> Names<'a> {
    fn new(old: &'a Tree) -> Self {
        let mut all = Self {
            by_version: HashMap::new(),
            same: HashMap::new(),
            other_version: HashMap::new(),
        };
        for (path, checksum) in &old.files {
            let name = base_name(path);
            all.by_version.entry(reduced(path)).or_default().push(checksum);
            all.same.entry(name).or_default().push(checksum);
            all.other_version.entry(reduced(name)).or_default().push(checksum);
        }
        all
    }

    fn find(&self, repo: &Repo, old: &Tree, new: &NewFile<'_>) -> Result<Option<Checksum>> {
        if let Some(same_path) = old.files.get(new.path) {
            let found = closest(repo, &[same_path], new)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let name = base_name(new.path);
        let lists = [
            self.by_version.get(&reduced(new.path)),
            self.same.get(name),
            self.other_version.get(&reduced(name)),
        ];
        for list in lists.into_iter().flatten() {
            let found = closest(repo, list, new)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The most files of one name that are looked at: some names are everywhere.
const MAX_NAMESAKES: usize = 64;

/// The file whose size is closest, if it is close enough.
fn closest(repo: &Repo, list: &[&Checksum], new: &NewFile<'_>) -> Result<Option<Checksum>> {
    let mut best: Option<(u64, Checksum)> = None;
    for checksum in list.iter().take(MAX_NAMESAKES) {
        let FileObject { size, header, .. } = repo.open_file(checksum)?;
        let (small, large) = (size.min(new.size), size.max(new.size));
        if header.is_symlink() || small.saturating_mul(MAX_RATIO) < large {
            continue;
        }
        let distance = large - small;
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, **checksum));
        }
    }
    Ok(best.map(|(_, checksum)| checksum))
}

/// Looks for files that were renamed: reads those that are gone, and the new ones that no name led
/// to an old one.
fn by_content(
    ctx: &Context,
    repo: &Repo,
    old: &Tree,
    new: &[NewFile<'_>],
    strangers: &[usize],
    found: &mut [Option<Checksum>],
) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sketch = |checksum: &Checksum| -> Result<Option<Sketch>> {
        let mut file = repo.open_file(checksum)?;
        if file.header.is_symlink() || !(MIN_SIZE..=MAX_SKETCHED).contains(&file.size) {
            return Ok(None);
        }
        let sketch = Sketch::of(&mut file.reader);
        sketch.map(Some).map_err(|error| crate::Error::io(format!("read {checksum}.file"), error))
    };
    // What has a path in both is matched already; what is gone may have been renamed.
    let kept: HashSet<&str> = new.iter().map(|file| file.path).collect();
    let gone: BTreeMap<&Checksum, &String> = old
        .files
        .iter()
        .filter(|(path, _)| !kept.contains(path.as_str()))
        .map(|(path, checksum)| (checksum, path))
        .collect();
    let gone: Vec<Checksum> = gone.into_keys().copied().collect();
    let mut similar = Similar::default();
    ordered::run(ctx, &gone, (jobs, LOOKAHEAD), sketch, |index, sketch| {
        if let (Some(sketch), Ok(number)) = (sketch, u32::try_from(index)) {
            similar.insert(number, &sketch);
        }
        Ok(())
    })?;
    let work = |index: &usize| new.get(*index).map_or(Ok(None), |file| sketch(&file.checksum));
    ordered::run(ctx, strangers, (jobs, LOOKAHEAD), work, |number, sketch| {
        let like = sketch.and_then(|sketch| similar.find(&sketch));
        let like = like.and_then(|like| gone.get(like as usize).copied());
        let slot = strangers.get(number).and_then(|index| found.get_mut(*index));
        if let Some(slot) = slot {
            *slot = like;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{is_packed, reduced};

    #[test]
    fn versions_do_not_matter() {
        assert_eq!(reduced("/lib/libz.so.1.2.13"), reduced("/lib/libz.so.1.3.1"));
        assert_ne!(reduced("/lib/liba.so"), reduced("/lib/libb.so"));
    }

    #[test]
    fn packed_files_are_known_by_their_endings() {
        assert!(is_packed("/lib/modules/a.ko.xz") && is_packed("/x/logo.png"));
        assert!(!is_packed("/bin/xz") && !is_packed("/lib/a.so"));
    }
}
