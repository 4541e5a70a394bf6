//! Repositories on mounted media. Their summaries serve for finding only: what is pulled is
//! verified with the keys of the configured remote of the collection.

use std::path::{Path, PathBuf};

use updraft_ostree::{CollectionRef, RemoteName};
use updraft_repo::Repo;
use updraft_repo::pull::Source;
use updraft_repo::summary;
use updraft_terminal::{Result, ResultExt as _};

use super::{Found, Vouching, collection_of, modified, refs_in};

/// Below which folders media are mounted.
const ROOTS: [&str; 3] = ["/media", "/run/media", "/mnt"];
/// Where a repository may be on a medium, besides `.ostree/repos.d/*`.
const PLACES: [&str; 3] = [".ostree/repo", "ostree/repo", "var/lib/flatpak/repo"];

/// The repositories that have some of the refs.
pub(super) fn found(repo: &Repo, wanted: &[CollectionRef]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let table = std::fs::read_to_string("/proc/self/mountinfo")
        .context("failed to read the table of mounts")?;
    for mount in mounts(&table) {
        for path in repositories(&mount) {
            found.extend(on_medium(repo, &path, wanted)?);
        }
    }
    Ok(found)
}

/// The mount points below the folders of media (proc_pid_mountinfo(5), field 5).
fn mounts(table: &str) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    points.filter(|point| ROOTS.iter().any(|root| point.starts_with(root))).collect()
}

/// Spaces and the like are written as octal numbers.
fn unescaped(text: &str) -> PathBuf {
    let text = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    PathBuf::from(text.replace("\\134", "\\"))
}

fn repositories(mount: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(mount.join(".ostree/repos.d"));
    let mut paths: Vec<PathBuf> =
        listed.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    paths.extend(PLACES.iter().map(|place| mount.join(place)));
    paths.retain(|path| path.join("objects").is_dir());
    paths
}

/// One result for each configured remote whose collection has refs there. A repository that cannot
/// be read is passed over: anybody may plug in anything.
fn on_medium(repo: &Repo, path: &Path, wanted: &[CollectionRef]) -> Result<Vec<Found>> {
    let Ok(medium) = Repo::open(path) else { return Ok(Vec::new()) };
    let Ok(Some(summary)) = summary::read(&medium) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for remote in repo.remotes()? {
        let Some(collection) = collection_of(repo, &remote) else { continue };
        let of_it: Vec<CollectionRef> =
            wanted.iter().filter(|name| name.collection.as_str() == collection).cloned().collect();
        if !of_it.is_empty() {
            found.push(result(
                path,
                &medium,
                remote,
                refs_in(&summary, &of_it)?,
                modified(&summary),
            ));
        }
    }
    Ok(found)
}

fn result(
    path: &Path,
    medium: &Repo,
    remote: RemoteName,
    refs: std::collections::BTreeMap<CollectionRef, Option<updraft_ostree::Checksum>>,
    modified: Option<u64>,
) -> Found {
    Found {
        url: format!("file://{}", path.display()),
        finder: "OstreeRepoFinderMount",
        remote,
        priority: 50,
        modified,
        refs,
        source: Source::Local(medium.clone()),
        vouching: Vouching::Commits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_media_are_found() {
        let table = "36 35 98:0 / / rw - ext4 /dev/a rw\n\
                     37 36 98:1 / /media/my\\040stick rw - vfat /dev/b rw\n\
                     38 36 98:2 / /mediation rw - vfat /dev/c rw\n";
        assert_eq!(mounts(table), [PathBuf::from("/media/my stick")]);
    }
}
