//! Copying refs to a repository that is carried around: on a USB stick, say.
//!
//! The copy is an archive repository that mirrors the refs under their collections, with a
//! summary, so that whoever finds it can tell what is on it and verify it by the signatures of
//! the commits.

use std::path::{Component, Path};

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_symlink};
use updraft_ostree::{Checksum, CollectionRef, RepoMode};
use updraft_task::Context;

use crate::pull::{self, PullOptions, Source};
use crate::summary::{self, SummaryOptions};
use crate::{Error, InitOptions, Repo, Result, Trust};

/// Where the repository is by default, below the mount point. Looked for without being told.
pub const DEFAULT_DESTINATION: &str = ".ostree/repo";
/// Places that are searched by themselves.
const FOUND_WITHOUT_LINK: [&str; 3] = [DEFAULT_DESTINATION, "ostree/repo", "var/lib/flatpak/repo"];
/// Where links to repositories at other places are.
const LINKS: &str = ".ostree/repos.d";

/// What to copy, and where to.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// The refs.
    pub refs: Vec<CollectionRef>,
    /// Another commit than the one that the only ref names.
    pub commit: Option<Checksum>,
    /// The repository's place below the mount point.
    pub destination: String,
    /// Seconds since 1970, for the summary.
    pub now: u64,
}

/// Copies refs of `repo` to a repository below `mount`, which is made when it is not there.
///
/// The refs of the copy are written when everything they refer to is durable there.
pub fn copy(
    ctx: &Context,
    repo: &Repo,
    mount: &Path,
    options: &CopyOptions,
) -> Result<(), pull::Error> {
    let destination = Path::new(&options.destination);
    let is_below = destination.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below || options.destination.is_empty() {
        let message = format!("Invalid destination repository path {}", options.destination);
        return Err(Error::other(Kind::Invalid, message).into());
    }
    let known = repo.collection_refs()?;
    let has_summary = repo.root().try_metadata("summary").map_err(Error::from)?.is_some();
    let mut goals = Vec::new();
    for name in &options.refs {
        let commit = match options.commit {
            Some(commit) => commit,
            None => *known
                .get(name)
                .ok_or_else(|| Error::other(Kind::NotFound, absent(name, has_summary)))?,
        };
        let (object, _) = repo.load_commit(&commit)?;
        let collection = Some(name.collection.as_str());
        pull::check_bindings(&object, &commit, Some(name.name.as_str()), collection)?;
        goals.push((name, commit));
    }
    let target = Repo::init(mount.join(destination), RepoMode::Archive, &InitOptions::default())?;
    let pull_options = PullOptions {
        commits: goals.iter().map(|(_, commit)| *commit).collect(),
        trust: Trust::Verify,
        ..PullOptions::default()
    };
    pull::pull(ctx, &target, &Source::Local(repo.clone()), &pull_options)?;
    for (name, commit) in goals {
        target.set_mirrored_ref(name, Some(&commit))?;
    }
    summary::update(ctx, &target, options.now, &SummaryOptions::default())?;
    if !FOUND_WITHOUT_LINK.contains(&options.destination.as_str()) {
        link(mount, &options.destination)?;
    }
    Ok(())
}

/// As the peer says it, which asks the summary when there is one.
fn absent(name: &CollectionRef, has_summary: bool) -> String {
    if has_summary {
        format!("No such branch {name} in repository summary")
    } else {
        format!("Collection–ref {name} not found")
    }
}

/// A link from the folder that is searched to a repository elsewhere.
fn link(mount: &Path, destination: &str) -> Result<()> {
    let mut dir = Dir::open(mount)?;
    for part in LINKS.split('/') {
        dir = dir.ensure_dir(part, 0o755)?;
    }
    let target = format!("../../{destination}");
    for number in 0..100 {
        let name = format!("{number:02}-generated");
        match dir.try_metadata(&name)? {
            Some(_) if dir.read_link(&name).is_ok_and(|found| found == Path::new(&target)) => {
                return Ok(());
            }
            Some(_) => {}
            None => return Ok(atomic_symlink(&dir, name, target)?),
        }
    }
    Err(Error::other(Kind::Exhausted, format!("link {destination}: {LINKS} is full")))
}
